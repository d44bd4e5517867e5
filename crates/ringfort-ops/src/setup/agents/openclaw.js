// Written by `ringfort setup openclaw`; `ringfort setup openclaw --undo` removes it.
// Asks Ringfort before every tool call. Whatever is not a clean "no opinion" blocks the call.
import { spawn } from "node:child_process";

const LINE = @LINE@;
const WAIT_MS = @WAIT@;
const ANSWER_BYTES_MAX = 8 << 20;
const SILENT = "ringfort: the guard gave no answer, so this is blocked";

function ask(event) {
  return new Promise((resolve, reject) => {
    const child = spawn("/bin/sh", ["-c", LINE], { stdio: ["pipe", "pipe", "pipe"] });
    let out = "";
    let err = "";
    const stop = (why) => {
      child.kill("SIGKILL");
      reject(new Error(why));
    };
    const timer = setTimeout(() => stop(SILENT), WAIT_MS);
    child.stdout.setEncoding("utf8").on("data", (text) => {
      out += text;
      if (out.length > ANSWER_BYTES_MAX) stop(SILENT);
    });
    child.stderr.setEncoding("utf8").on("data", (text) => {
      if (err.length < ANSWER_BYTES_MAX) err += text;
    });
    child.on("error", () => stop(SILENT));
    child.stdin.on("error", () => {});
    child.on("close", (status) => {
      clearTimeout(timer);
      if (status !== 0) return reject(new Error(err.trim() || SILENT));
      try {
        const answer = out.trim() === "" ? {} : JSON.parse(out);
        if (answer === null || typeof answer !== "object" || Array.isArray(answer)) return reject(new Error(SILENT));
        resolve(answer);
      } catch {
        reject(new Error(SILENT));
      }
    });
    child.stdin.end(JSON.stringify(event));
  });
}

export default {
  id: "ringfort",
  name: "Ringfort",
  description: "Asks Ringfort before every tool call.",
  register(api) {
    api.on(
      "before_tool_call",
      async (event, ctx) => {
        const params = event.params ?? {};
        const answer = await ask({
          hook_event_name: "before_tool_call",
          session_id: ctx?.sessionKey ?? ctx?.sessionId,
          agent_id: ctx?.agentId,
          tool_use_id: event.toolCallId,
          tool_name: event.toolName,
          tool_input: params,
          // Never a folder that the model names: the first one is the session's workspace.
          cwd: process.cwd(),
        });
        if (answer.decision !== undefined) {
          return { block: true, blockReason: String(answer.reason || "ringfort: this is blocked") };
        }
        return undefined;
      },
      { priority: 1000, timeoutMs: WAIT_MS },
    );
  },
};
