# SPDX-License-Identifier: MIT OR Apache-2.0
"""Races on start-up files, for `race.py SECONDS SEED OUTSIDE`: renames, exchanges, links and swaps of folders, at once.

What must not change is looked at by the test afterwards. Standard library only.
"""
import ctypes, os, random, sys, threading, time

libc = ctypes.CDLL(None)
END, SEED, OUTSIDE = time.time() + float(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
PROTECTED = [".git", ".git/hooks", ".git/hooks/pre-commit", ".git/config", ".vscode", ".vscode/tasks.json", ".mcp.json", ".envrc"]
NEW = ["sub/.vscode", "sub/.vscode/tasks.json", "sub/.envrc", "sub/.git/hooks/post-merge", "sub/.git/config", ".cursor/mcp.json", ".husky/pre-push"]


def exchange(a, b):
    libc.renameat2(-100, a.encode(), -100, b.encode(), 2)


def write(path):
    with open(path, "a") as file:
        file.write("attacked\n")


def step(dice, scratch):
    old, new = dice.choice(PROTECTED), dice.choice(NEW)
    action = dice.randrange(12)
    if action == 0: os.rename(old, scratch)
    elif action == 1: os.rename(scratch, old)
    elif action == 2: exchange(old, scratch)
    elif action == 3: os.link(old, scratch + ".link")
    elif action == 4: write(old)
    elif action == 5: os.symlink(OUTSIDE, dice.choice([old, new, "sub", scratch]))
    elif action == 6: os.makedirs(os.path.dirname(new) or ".", exist_ok=True)
    elif action == 7: write(new)
    elif action == 8: exchange("sub", dice.choice(["other", scratch]))
    elif action == 9: os.unlink(dice.choice([old, new, "sub", scratch, scratch + ".link"]))
    elif action == 10: os.rename("sub", dice.choice(["other", scratch]))
    elif action == 11:
        os.makedirs("sub", exist_ok=True)
        os.makedirs("other", exist_ok=True)
        os.makedirs(scratch, exist_ok=True)


def run(number):
    dice, count = random.Random(SEED * 1000 + number), 0
    while time.time() < END:
        count += 1
        try:
            step(dice, f"scratch-{number}")
        except OSError:
            pass
    counts.append(count)


counts = []
threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print("steps", sum(counts))
