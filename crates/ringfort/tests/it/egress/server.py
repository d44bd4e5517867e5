# SPDX-License-Identifier: MIT OR Apache-2.0
"""A server on loopback for tests: HTTP, HTTPS, files of a folder, a slow answer, an echo over WebSocket.

Usage: server.py FOLDER CERTIFICATE KEY. Prints the ports of HTTP and HTTPS on one line, then serves until killed.
"""
import base64
import hashlib
import http.server
import ssl
import sys
import threading
import time


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def say(self, text):
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path.startswith("/echo"):
            return self.say(f"GET {self.path}\n")
        if self.path == "/slow":
            return self.slow()
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "http://10.0.0.1/")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        if self.path == "/ws" and self.headers.get("Upgrade", "").lower() == "websocket":
            return self.websocket()
        return super().do_GET()

    def do_POST(self):
        left = int(self.headers.get("Content-Length", "0"))
        got = 0
        while got < left:
            got += len(self.rfile.read(min(left - got, 1 << 16)))
        self.say(f"POST {self.path} {got}\n")

    def slow(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for _ in range(600):
            self.wfile.write(b"4\r\ntick\r\n")
            self.wfile.flush()
            time.sleep(0.1)

    def websocket(self):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        while True:
            head = self.rfile.read(2)
            if len(head) < 2 or head[0] & 15 == 8:
                break
            length, mask = head[1] & 127, self.rfile.read(4)
            data = bytes(byte ^ mask[i % 4] for i, byte in enumerate(self.rfile.read(length)))
            self.wfile.write(bytes([0x81, len(data)]) + data)
        self.close_connection = True


def main():
    folder, certificate, key = sys.argv[1:]

    def make(*args):
        return Handler(*args, directory=folder)

    plain = http.server.ThreadingHTTPServer(("127.0.0.1", 0), make)
    secure = http.server.ThreadingHTTPServer(("127.0.0.1", 0), make)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    secure.socket = context.wrap_socket(secure.socket, server_side=True)
    threading.Thread(target=secure.serve_forever, daemon=True).start()
    print(plain.server_address[1], secure.server_address[1], flush=True)
    plain.serve_forever()


main()
