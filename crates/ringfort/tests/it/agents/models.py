# SPDX-License-Identifier: MIT OR Apache-2.0
"""Model servers on loopback, as far as an agent needs one to call a single tool.

Usage: models.py LOG ANSWERS. Prints the port. LOG gets one JSON line for each request. ANSWERS is a JSON file
{"command": TEXT}: the first turn asks for this shell command by the agent's own tool, every later turn ends the session.
Speaks Anthropic's /v1/messages, OpenAI's /v1/responses and Gemini's streamGenerateContent. Requests are bounded.
"""
import http.server
import json
import sys

BODY_BYTES_MAX = 32 << 20
log, answers = open(sys.argv[1], "a"), json.load(open(sys.argv[2]))


def sse(events):
    out = b""
    for name, data in events:
        if name:
            out += b"event: " + name.encode() + b"\n"
        out += b"data: " + json.dumps(data).encode() + b"\n\n"
    return out


def anthropic(body):
    told = any(
        block.get("type") == "tool_result"
        for message in body.get("messages", [])
        if isinstance(message.get("content"), list)
        for block in message["content"]
        if isinstance(block, dict)
    )
    tools = [tool.get("name") for tool in body.get("tools", [])]
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": body.get("model", "m"), "content": [],
               "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}
    events = [("message_start", {"type": "message_start", "message": message})]
    if "Bash" in tools and not told:
        block = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps({"command": answers["command"], "description": "d"})}
        stop = "tool_use"
    else:
        block, delta, stop = {"type": "text", "text": ""}, {"type": "text_delta", "text": "done"}, "end_turn"
    if not body.get("stream"):
        message["content"] = [{"type": "text", "text": "done"}]
        message["stop_reason"] = "end_turn"
        return "application/json", json.dumps(message).encode()
    events += [
        ("content_block_start", {"type": "content_block_start", "index": 0, "content_block": block}),
        ("content_block_delta", {"type": "content_block_delta", "index": 0, "delta": delta}),
        ("content_block_stop", {"type": "content_block_stop", "index": 0}),
        ("message_delta", {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None},
                           "usage": {"output_tokens": 2}}),
        ("message_stop", {"type": "message_stop"}),
    ]
    return "text/event-stream", sse(events)


def openai(body):
    told = any(str(item.get("type", "")).endswith("_output") for item in body.get("input", []) if isinstance(item, dict))
    tools = [tool.get("name") or tool.get("type") for tool in body.get("tools", [])]
    response = {"id": "resp_1", "object": "response", "status": "in_progress", "output": []}
    events = [("response.created", {"type": "response.created", "response": response})]
    if told or not tools:
        item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": "done", "annotations": []}]}
    else:
        if "exec_command" in tools:
            name, arguments = "exec_command", {"cmd": answers["command"]}
        elif "shell_command" in tools:
            name, arguments = "shell_command", {"command": answers["command"]}
        else:
            name, arguments = "shell", {"command": ["bash", "-c", answers["command"]]}
        item = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": name,
                "arguments": json.dumps(arguments), "status": "completed"}
    events.append(("response.output_item.added", {"type": "response.output_item.added", "output_index": 0, "item": item}))
    events.append(("response.output_item.done", {"type": "response.output_item.done", "output_index": 0, "item": item}))
    done = dict(response, status="completed", output=[item],
                usage={"input_tokens": 1, "output_tokens": 1, "total_tokens": 2,
                       "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}})
    events.append(("response.completed", {"type": "response.completed", "response": done}))
    return "text/event-stream", sse(events)


def gemini(body, stream):
    told = any("functionResponse" in part for content in body.get("contents", []) for part in content.get("parts", []))
    tools = [f.get("name") for tool in body.get("tools", []) for f in tool.get("functionDeclarations", [])]
    if "run_shell_command" in tools and not told:
        part = {"functionCall": {"name": "run_shell_command", "args": {"command": answers["command"], "description": "d"}}}
    else:
        part = {"text": "done"}
    reply = {"candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}],
             "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}}
    return ("text/event-stream", sse([(None, reply)])) if stream else ("application/json", json.dumps(reply).encode())


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer("application/json", b'{"data":[],"models":[]}')

    def do_POST(self):
        length = min(int(self.headers.get("content-length", 0)), BODY_BYTES_MAX)
        raw = self.rfile.read(length)
        try:
            body = json.loads(raw)
        except ValueError:
            body = {}
        log.write(json.dumps({"path": self.path, "body": body}) + "\n")
        log.flush()
        if "count_tokens" in self.path or "countTokens" in self.path:
            self.answer("application/json", b'{"input_tokens":1,"totalTokens":1}')
        elif "/messages" in self.path:
            self.answer(*anthropic(body))
        elif "/responses" in self.path:
            self.answer(*openai(body))
        elif "enerateContent" in self.path:
            self.answer(*gemini(body, "stream" in self.path))
        else:
            self.answer("application/json", b"{}")

    def answer(self, kind, content):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
