# SPDX-License-Identifier: MIT OR Apache-2.0
"""Reads a sealed store as docs/formats/secrets.md says, with nothing but Python's own library.

Arguments: the root key in hex, files. Out: one JSON object a secret and version, or a fault. Not for real secrets: it
takes no care of memory or of time.
"""
import base64, hashlib, hmac, json, struct, sys

def rotate(x, n): return ((x << n) | (x >> (32 - n))) & 0xFFFFFFFF

def rounds(state):
    x = list(state)
    def quarter(a, b, c, d):
        x[a] = (x[a] + x[b]) & 0xFFFFFFFF; x[d] = rotate(x[d] ^ x[a], 16)
        x[c] = (x[c] + x[d]) & 0xFFFFFFFF; x[b] = rotate(x[b] ^ x[c], 12)
        x[a] = (x[a] + x[b]) & 0xFFFFFFFF; x[d] = rotate(x[d] ^ x[a], 8)
        x[c] = (x[c] + x[d]) & 0xFFFFFFFF; x[b] = rotate(x[b] ^ x[c], 7)
    for _ in range(10):
        for a, b, c, d in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                           (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            quarter(a, b, c, d)
    return x

CONSTANT = struct.unpack("<4I", b"expand 32-byte k")

def block(key, nonce, counter):
    state = CONSTANT + struct.unpack("<8I", key) + (counter,) + struct.unpack("<3I", nonce)
    return struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(rounds(state), state)))

def subkey(key, nonce16):
    x = rounds(CONSTANT + struct.unpack("<8I", key) + struct.unpack("<4I", nonce16))
    return struct.pack("<8I", *(x[:4] + x[12:]))

def poly1305(key, text):
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for start in range(0, len(text), 16):
        total = (total + int.from_bytes(text[start:start + 16] + b"\x01", "little")) * r % ((1 << 130) - 5)
    return ((total + int.from_bytes(key[16:], "little")) & ((1 << 128) - 1)).to_bytes(16, "little")

def padded(text): return text + bytes(-len(text) % 16)

def unseal(key, place, sealed):
    nonce, body, tag = sealed[:24], sealed[24:-16], sealed[-16:]
    key, nonce = subkey(key, nonce[:16]), bytes(4) + nonce[16:]
    lengths = struct.pack("<QQ", len(place), len(body))
    expected = poly1305(block(key, nonce, 0)[:32], padded(place) + padded(body) + lengths)
    if not hmac.compare_digest(expected, tag):
        raise ValueError("a seal is broken")
    stream = b"".join(block(key, nonce, 1 + number) for number in range((len(body) + 63) // 64))
    return bytes(a ^ b for a, b in zip(body, stream))

def derive(key, salt, name, length=32):
    extracted = hmac.digest(salt, key, "sha256")
    return hmac.digest(extracted, b"ringfort-store v1 " + name + b"\x01", "sha256")[:length]

def number(value): return struct.pack(">Q", value)

def mac(key, *parts): return hmac.digest(key, b"".join(number(len(part)) + part for part in parts), "sha256").hex()

def check(holds, what):
    if not holds:
        raise ValueError(what)

def read(file, root):
    found = []
    data = open(file, "rb").read()
    lines = data.split(b"\n")
    check(lines.pop() == b"", "the last newline is missing")
    head, end = json.loads(lines[0]), json.loads(lines[-1])
    check(head["format"] == "ringfort-store" and head["version"] == 1, "another format")
    check(head["sum"] == hashlib.sha256(lines[0][:lines[0].rindex(b',"sum":')]).hexdigest(), "the header is damaged")
    store = bytes.fromhex(head["store"])
    slot = head["slots"][0]
    bound = json.dumps({"source": slot["source"], "data": slot["data"]}, separators=(",", ":")).encode()
    store_key = unseal(root, b"ringfort-store v1 slot\0" + store + bound, base64.b64decode(slot["key"]))
    check(derive(store_key, store, b"check", 16).hex() == head["check"], "the store key is another one")
    keys = {name: derive(store_key, store, name.encode()) for name in ("wrap", "meta", "mac", "texts")}
    check(end["head"] == mac(keys["mac"], b"head", lines[0]), "the header was exchanged")
    before_end = data[:len(data) - len(lines[-1]) - 1]
    check(end["mac"] == mac(keys["mac"], b"file", before_end), "the file is not what was written")
    check(end["tag"] == mac(keys["mac"], b"end", bytes.fromhex(end["head"]), bytes.fromhex(end["mac"])), "the end is damaged")
    check(len(lines) - 2 == head["entries"], "entries are missing")
    seeds = unseal(keys["texts"], b"ringfort-store v1 texts\0" + store, base64.b64decode(head["texts"]))
    check(1 <= len(seeds) // 32 <= 16 and len(seeds) % 32 == 0, "the seeds are no seeds")
    for line in lines[1:-1]:
        entry = json.loads(line)
        meta = json.loads(unseal(keys["meta"], line[:line.rindex(b',"meta":')], base64.b64decode(entry["meta"])))
        check(entry["version"] == meta["version"] == entry["values"][0]["version"], "versions differ")
        for value in entry["values"]:
            place = store + bytes.fromhex(entry["uid"]) + number(value["version"]) + meta["id"].encode()
            key = unseal(keys["wrap"], b"ringfort-store v1 key\0" + place, base64.b64decode(value["key"]))
            plain = unseal(key, b"ringfort-store v1 value\0" + place, base64.b64decode(value["data"]))
            found.append({"id": meta["id"], "version": value["version"], "value": plain.decode()})
    return found

for file in sys.argv[2:]:
    try:
        found = read(file, bytes.fromhex(sys.argv[1]))
    except (ValueError, KeyError, IndexError, TypeError) as fault:
        found = [{"fault": str(fault)}]
    for one in found:
        print(json.dumps({"file": file, **one}))
