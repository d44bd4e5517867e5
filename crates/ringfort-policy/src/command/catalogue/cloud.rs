// SPDX-License-Identifier: MIT OR Apache-2.0
//! Clients of forges, clusters and clouds: each talks to the service that its user set it up for.
//!
//! In: nothing. Out: the entries. **Invariant:** only verbs that are listed as questions are questions; what creates,
//! changes, sends, opens a shell or shows a credential is not among them, and a verb that is not listed is unknown.

use ringfort_core::decision::Risk;
use ringfort_core::effect::EffectKind;

use super::super::hazard;
use super::Role::{Command, Data, Effect, Execute, Host, Load, Mode as Set, Read, Rule, Shell, Upload, Value, Write};
use super::{Entry, Mode, Opt, Special, Style, attached, flag, high, low, medium, value};

const NETWORK: &[EffectKind] = &[EffectKind::OpenNetwork];
const ASKS: &[EffectKind] = &[EffectKind::QueryService];
const PUBLISH: &[EffectKind] = &[EffectKind::OpenNetwork, EffectKind::Publish];
const INSTALL: &[EffectKind] = &[EffectKind::OpenNetwork, EffectKind::ExecuteText, EffectKind::WritePath];
const SECRET: &[EffectKind] = &[EffectKind::OpenNetwork, EffectKind::ReadSecret];
const UNKNOWN: &[EffectKind] = &[EffectKind::Unknown];

/// Options of the questions of a forge's client.
const FORGE: &[Opt] = &[
    value(
        "-R --repo -L --limit -s --state -l --label -a --assignee -A --author -S --search -q --jq -o --org -b --branch",
        Value,
    ),
    value("--json -m --milestone -e --env -u --user", Value),
    value("-t --template", Value),
    value("--hostname -h", Host),
    flag("-w --web", Value),
];
/// Options by which text and files leave.
const SENDS: &[Opt] = &[
    value("-F --body-file --notes-file --file", Upload),
    value("-b --body -t --title -n --notes -d --desc --description", Data),
    value("-R --repo", Value),
    flag("--help", Set(Mode::Show)),
];

const GH_AUTH: &[Entry] = &[
    low("status").options(&[flag("-t --show-token", Effect(EffectKind::ReadSecret, Risk::High))]).always(ASKS),
    high("token").always(SECRET),
    high("login logout refresh setup-git switch").always(UNKNOWN),
];
const GH_LOCAL: &[Entry] = &[low("list ls get"), medium("set delete import clear-cache").always(UNKNOWN)];
const GH_EXTENSION: &[Entry] =
    &[low("list ls"), low("search").always(ASKS), medium("install upgrade remove create exec browse").always(INSTALL)];
/// What every noun of the client has: questions, what fetches files, and what others see.
const GH_NOUN: &[Entry] = &[
    low("list ls view status checks diff watch field-list item-list get check logs verify").options(FORGE).always(ASKS),
    medium("checkout co clone download develop sync verify-asset").options(&[value("-D --dir -O --output", Write)]).always(&[
        EffectKind::OpenNetwork,
        EffectKind::WritePath,
    ]),
    high(
        "create new edit close reopen comment delete merge ready review lock unlock transfer pin unpin update-branch revert \
         rename fork archive unarchive set-default set add remove upload delete-asset cancel rerun run enable disable clone-label \
         item-add item-create item-edit item-delete item-archive copy link unlink field-create field-delete mark-template \
         deploy-key autolink license gitignore credits",
    )
    .options(SENDS)
    .always(PUBLISH)
    .rule(&hazard::PUBLISHES),
    high("ssh code cp jupyter ports rebuild stop").always(NETWORK),
];

const GH: &[Entry] = &[
    low("help version --version completion reference environment exit-codes formatting mintty a11y accessibility"),
    low("status").options(FORGE).always(ASKS),
    low("browse").options(FORGE).always(ASKS),
    low("search").options(FORGE).always(ASKS),
    medium("pr issue run workflow repo release label cache ruleset rs org project codespace cs gist agent agent-task agent-tasks attestation at")
        .style(Style::Posix)
        .options(&[value("-R --repo", Value)])
        .subs(GH_NOUN)
        .always(NETWORK),
    medium("ssh-key gpg-key variable secret").style(Style::Posix).options(&[value("-R --repo", Value)]).subs(GH_NOUN).always(NETWORK),
    medium("auth").subs(GH_AUTH).always(UNKNOWN),
    low("config alias").subs(GH_LOCAL),
    medium("extension extensions ext").subs(GH_EXTENSION).always(INSTALL),
    low("api")
        .options(&[
            value("-X --method", Effect(EffectKind::Publish, Risk::High)),
            value("-f --raw-field -F --field", Effect(EffectKind::Publish, Risk::High)),
            value("--input", Upload),
            value("-H --header -q --jq -t --template --cache -p --preview", Value),
            value("--hostname", Host),
        ])
        .always(ASKS),
    medium("preview copilot models skill").always(NETWORK),
];

const GLAB_NOUN: &[Entry] = &[
    low("list ls view show status diff approvers trace get").options(FORGE).always(ASKS),
    high("create new close reopen update note merge delete approve revoke rebase run retry cancel upload todo subscribe for set")
        .options(SENDS)
        .always(PUBLISH)
        .rule(&hazard::PUBLISHES),
    medium("checkout clone download artifact").always(&[EffectKind::OpenNetwork, EffectKind::WritePath]),
];
const GLAB: &[Entry] = &[
    low("help version --version completion"),
    medium("mr issue ci pipeline repo release label schedule snippet milestone incident iteration")
        .subs(GLAB_NOUN)
        .always(NETWORK),
    high("api auth variable ssh-key token config alias").always(NETWORK),
];

/// Options of the client of a cluster.
const CLUSTER: &[Opt] = &[
    value(
        "-n --namespace -l --selector -o --output -c --container --field-selector --sort-by --context --tail --since",
        Value,
    ),
    value("--api-group --verbs -L --chunk-size --since-time --limit --timeout --for --revision", Value),
    value("--kubeconfig --token --as", Load),
    value("-s --server", Host),
    value("--raw", Effect(EffectKind::ReadSecret, Risk::High)),
    value("-f --filename -k --kustomize", Read),
];
const KUBECTL_CONFIG: &[Entry] = &[
    low("get-contexts get-clusters get-users current-context"),
    low("view").options(&[flag("--raw", Effect(EffectKind::ReadSecret, Risk::High))]),
    medium("use-context set set-context set-cluster set-credentials unset delete-context delete-cluster delete-user rename-context")
        .always(UNKNOWN),
];
const KUBECTL_ROLLOUT: &[Entry] = &[
    low("status history").options(CLUSTER).always(ASKS),
    high("restart undo pause resume").options(CLUSTER).always(NETWORK),
];
const KUBECTL_AUTH: &[Entry] = &[low("can-i whoami").options(CLUSTER).always(ASKS), high("reconcile").always(NETWORK)];
const KUBECTL: &[Entry] = &[
    low("help options"),
    low("version --version completion").options(CLUSTER),
    low("kustomize")
        .options(&[
            flag("--enable-exec --enable-alpha-plugins --enable-helm", Effect(EffectKind::ExecuteText, Risk::High)),
            value("-o --output", Write),
            value("--helm-command", Execute),
            value("-e --env --load-restrictor --mount --network-name", Value),
        ])
        .operands(&[super::Role::RemoteRead]),
    low("get describe logs log top explain api-resources api-versions cluster-info events wait").options(CLUSTER).always(ASKS),
    medium("diff").options(CLUSTER).always(NETWORK),
    medium("config").options(CLUSTER).subs(KUBECTL_CONFIG).always(UNKNOWN),
    medium("rollout").options(CLUSTER).subs(KUBECTL_ROLLOUT).always(NETWORK),
    medium("auth").options(CLUSTER).subs(KUBECTL_AUTH).always(NETWORK),
    high("delete drain").options(CLUSTER).always(NETWORK).rule(&hazard::DESTROYS_REMOTE),
    high(
        "apply create replace patch edit scale set label annotate cordon uncordon taint expose autoscale run debug attach \
         port-forward proxy cp certificate plugin alpha",
    )
    .options(CLUSTER)
    .always(NETWORK),
    high("exec").style(Style::Posix).options(CLUSTER).operands(&[Value, Command]).always(NETWORK),
];

const HELM_REPO: &[Entry] = &[low("list ls"), medium("add update remove rm index").always(INSTALL)];
const HELM: &[Entry] = &[
    low("help version env completion"),
    low("list ls status history").options(CLUSTER).always(ASKS),
    low("search").always(ASKS),
    medium("lint template dependency dep show inspect").always(NETWORK),
    medium("repo").subs(HELM_REPO).always(INSTALL),
    medium("create package pull fetch verify").always(&[EffectKind::OpenNetwork, EffectKind::WritePath]),
    high("uninstall delete un").always(NETWORK).rule(&hazard::DESTROYS_REMOTE),
    high("install upgrade rollback test get plugin registry push")
        .options(&[value("--post-renderer", Execute)])
        .always(INSTALL),
];

/// What other clients of clusters have in common.
const CLOUD: &[Entry] = &[
    low("help version --version --help completion"),
    low("get describe list ls status logs top explain api-resources api-versions cluster-info profiles clusters nodes").options(CLUSTER).always(ASKS),
    medium("show wait diff view build").always(NETWORK),
    high("delete destroy remove rm drain terminate purge").always(NETWORK).rule(&hazard::DESTROYS_REMOTE),
    high(
        "apply create replace patch edit scale rollout set label annotate cordon uncordon taint expose autoscale \
         run debug attach port-forward proxy cp auth config certificate login install upgrade uninstall rollback start stop",
    )
    .always(NETWORK),
    high("exec ssh")
        .style(Style::Posix)
        .options(&[value("-n --namespace -c --container", Value)])
        .operands(&[Value, Command])
        .always(NETWORK),
];

const TERRAFORM_STATE: &[Entry] = &[
    low("list"),
    medium("show pull").always(&[EffectKind::ReadSecret]),
    high("mv rm push replace-provider").always(&[EffectKind::OpenNetwork, EffectKind::RewriteHistory]),
];
const TERRAFORM_WORKSPACE: &[Entry] = &[low("list show"), medium("new select delete").always(NETWORK)];
const TERRAFORM: &[Entry] = &[
    low("version metadata help -version --version -help"),
    low("output").options(&[flag("-json -raw", Effect(EffectKind::ReadSecret, Risk::High))]).style(Style::Long),
    medium("fmt").style(Style::Long).options(&[value("-chdir", Write)]).operands(&[Write]).here(),
    medium("workspace").subs(TERRAFORM_WORKSPACE).always(NETWORK),
    high("state").subs(TERRAFORM_STATE).always(NETWORK),
    medium("validate show graph providers console modules").always(&[EffectKind::ExecuteText]),
    medium("init plan get refresh test login logout").always(&[EffectKind::OpenNetwork, EffectKind::ExecuteText]),
    high("apply import taint untaint force-unlock up preview").always(&[
        EffectKind::OpenNetwork,
        EffectKind::ExecuteText,
        EffectKind::Spend,
    ]),
    high("destroy down").always(NETWORK).rule(&hazard::DESTROYS_REMOTE),
];

pub(super) const ENTRIES: &[Entry] = &[
    medium("gh").style(Style::Posix).options(&[value("-R --repo", Value)]).subs(GH).always(NETWORK),
    medium("glab").style(Style::Posix).options(&[value("-R --repo", Value)]).subs(GLAB).always(NETWORK),
    medium("hub tea jira linear acli").style(Style::Posix).always(NETWORK),
    high("kubectl oc k").style(Style::Posix).options(CLUSTER).subs(KUBECTL).always(NETWORK),
    high("helm").style(Style::Posix).options(CLUSTER).subs(HELM).always(NETWORK),
    high("k3s k9s kustomize minikube kind eksctl argocd flux istioctl kubeadm kops k3d")
        .style(Style::Posix)
        .options(&[value("-n --namespace --context -l --cluster", Value), value("--kubeconfig", Load)])
        .subs(CLOUD)
        .always(NETWORK),
    high("aws")
        .options(&[
            value("--profile --region --output --query --filters --max-items --page-size --starting-token", Value),
            value("--endpoint-url --ca-bundle", Host),
            value("--cli-input-json --cli-input-yaml", Read),
            flag("help", Set(Mode::Show)),
        ])
        .always(NETWORK)
        .special(Special::Cloud),
    high("gcloud")
        .options(&[
            value("--project --account --region --zone --format --filter --limit --configuration --sort-by", Value),
            value("--flags-file", Load),
            value("--impersonate-service-account", Effect(EffectKind::ChangePrivilege, Risk::High)),
            value("--command", Shell),
        ])
        .always(NETWORK)
        .special(Special::Cloud),
    high("az")
        .options(&[
            value("-g --resource-group -n --name --subscription -o --output --query -l --location", Value),
            value("--scripts", Shell),
        ])
        .always(NETWORK)
        .special(Special::Cloud),
    high("doctl hcloud linode-cli oci ibmcloud scw exo vultr-cli")
        .options(&[value("--context --profile --output -o --format --region", Value), value("--config --config-file", Load)])
        .always(NETWORK)
        .special(Special::Cloud),
    high(
        "flyctl fly heroku vercel netlify firebase wrangler railway supabase serverless sam cdk amplify eb copilot vault consul \
         nomad op bw lpass gopass pass doppler",
    )
    .style(Style::Posix)
    .options(&[value("--profile --region --project --output", Value)])
    .always(NETWORK),
    high("terraform tofu")
        .style(Style::Long)
        .options(&[attached("-chdir", Write)])
        .subs(TERRAFORM)
        .always(NETWORK),
    high("terragrunt pulumi packer").style(Style::Posix).subs(TERRAFORM).always(&[EffectKind::OpenNetwork, EffectKind::ExecuteText]),
    high("ansible")
        .options(&[
            value("-m --module-name -i --inventory -u -f -e --extra-vars -l --limit -t", Value),
            value("-a --args", Shell),
            value("-M --module-path --vault-password-file", Load),
            flag("--list-hosts", Value),
        ])
        .always(&[EffectKind::OpenNetwork, EffectKind::ExecuteText]),
    high("kubectx kubens").always(&[EffectKind::Unknown]).operands(&[Rule(&hazard::CHANGES_PRIVILEGE)]),
];
