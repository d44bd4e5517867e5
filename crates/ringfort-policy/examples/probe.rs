use ringfort_policy::command::{Context, analyze};
use std::io::BufRead;
fn main() {
    let verbose = std::env::args().nth(1).is_some();
    let ctx = Context { cwd: Some(b"/work/p"), home: Some(b"/home/u"), workspace: Some(b"/work/p") };
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let (cmd, rest) = if line.starts_with("{\"b") {
            let v: serde_json::Value = serde_json::from_str(&line).unwrap();
            (v["command"].as_str().unwrap().to_owned(), v)
        } else {
            (line.clone(), serde_json::Value::Null)
        };
        let t = std::time::Instant::now();
        let a = analyze(cmd.as_bytes(), &ctx);
        let us = t.elapsed().as_micros();
        if verbose {
            println!("{cmd}\n  {:?} {us}us", a.risk);
            for c in &a.commands {
                println!(
                    "    {:?} {:?} via {:?} {:?} {:?} span {:?} {:?}",
                    c.program.name().map(|n| String::from_utf8_lossy(n).into_owned()),
                    c.args.iter().map(|x| String::from_utf8_lossy(&x.bytes).into_owned()).collect::<Vec<_>>(),
                    c.via,
                    c.risk,
                    c.place.kind,
                    (c.span.start, c.span.end),
                    c.knowledge
                );
                for e in &a.effects[c.effects.clone()] {
                    println!("        {} {:?}", e.kind.as_str(), e.target);
                }
            }
            for h in &a.hazards {
                println!("    hazard {} {} {:?}", h.rule.id, h.rule.meaning, (h.span.start, h.span.end));
            }
            for h in &a.unanalysable {
                println!("    problem {} {} {:?}", h.rule.id, h.rule.meaning, h.span);
            }
            for h in &a.chains {
                println!("    chain {} {}", h.rule.id, h.rule.meaning);
            }
        } else {
            println!(
                "{}",
                serde_json::json!({"risk": a.risk.as_str(), "problem": a.unanalysable.first().map(|p| p.rule.id), "hazards": a.hazards.iter().map(|h| h.rule.id).collect::<Vec<_>>(), "unknown": a.commands.iter().filter(|c| c.knowledge == ringfort_policy::command::analysis::Knowledge::Unknown).map(|c| c.program.name().map(|n| String::from_utf8_lossy(n).into_owned())).collect::<Vec<_>>(), "us": us as u64, "row": rest})
            );
        }
    }
}
