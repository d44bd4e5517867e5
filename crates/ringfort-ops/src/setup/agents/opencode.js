// Written by `ringfort setup opencode`; `ringfort setup opencode --undo` removes it.
// Asks Ringfort before every tool call. Whatever is not a clean "no opinion" stops the call.
import { spawnSync } from "node:child_process";

const LINE = @LINE@;
const WAIT_MS = @WAIT@;
const ANSWER_BYTES_MAX = 8 << 20;

function ask(event) {
  const child = spawnSync("/bin/sh", ["-c", LINE], {
    input: JSON.stringify(event),
    encoding: "utf8",
    timeout: WAIT_MS,
    killSignal: "SIGKILL",
    maxBuffer: ANSWER_BYTES_MAX,
  });
  if (child.error || child.status !== 0) {
    const said = String(child.stderr || "").trim();
    throw new Error(said || "ringfort: the guard gave no answer, so this is blocked");
  }
  const text = child.stdout.trim();
  const answer = text === "" ? {} : JSON.parse(text);
  if (answer === null || typeof answer !== "object" || Array.isArray(answer)) {
    throw new Error("ringfort: the guard gave no answer, so this is blocked");
  }
  return answer;
}

export const Ringfort = async ({ directory, worktree }) => ({
  "tool.execute.before": async (input, output) => {
    const answer = ask({
      hook_event_name: "tool.execute.before",
      session_id: input.sessionID,
      tool_use_id: input.callID,
      tool_name: input.tool,
      tool_input: output.args,
      cwd: directory,
      workspace: worktree,
    });
    if (answer.decision !== undefined) {
      throw new Error(String(answer.reason || "ringfort: this is blocked"));
    }
  },
});
