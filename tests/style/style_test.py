"""Checks the rules of the house that need no compiler: `style_test.py CHECK SOURCE_DIR`.

Every rule says what to write instead. Every banned spelling carries an example that must be caught, and is tried on it
first, so that a rule that no longer matches anything fails by itself.
"""

import re
import statistics
import sys
from pathlib import Path

FOLDERS = ("include", "src", "apps", "examples", "tests", "bench", "fuzz")

# What each room may use, besides itself (docs/architecture.md, "Rooms").
ROOMS = {
    "base": set(),
    "ipc": {"base"},
    "thread": {"ipc", "base"},
    "process": {"ipc", "base"},
    "pool": {"thread", "process", "ipc", "base"},
    "net": {"base"},
    "http": {"net", "base"},
    "cluster": {"net", "process", "ipc", "base"},
    "manager": {"cluster", "http", "net", "process", "ipc", "base"},
    "map": {"process", "ipc", "base"},
    "cli": {"map", "manager", "cluster", "http", "net", "process", "ipc", "base"},
}

# The room that implements each public header; a room may include the public headers of the rooms that it may use.
ROOM_OF_HEADER = {
    "acceptor.h": "net",
    "address.h": "base",
    "call.h": "ipc",
    "callback.h": "base",
    "check.h": "manager",
    "child_process.h": "process",
    "cluster.h": "cluster",
    "cohort.h": "cli",
    "error.h": "base",
    "exit.h": "process",
    "fd.h": "base",
    "handle.h": "base",
    "http.h": "http",
    "lane.h": "base",
    "listen_options.h": "net",
    "loop_ref.h": "base",
    "message_port.h": "thread",
    "net.h": "net",
    "parallelism.h": "base",
    "policy.h": "cluster",
    "pool.h": "pool",
    "preload.h": "process",
    "rollout.h": "cluster",
    "settings.h": "cluster",
    "send_result.h": "ipc",
    "serialization.h": "ipc",
    "status.h": "cluster",
    "thread.h": "thread",
    "value.h": "ipc",
    "value_to.h": "ipc",
    "worker.h": "cluster",
}

PUBLIC_HEADERS_MAX = 33
MAIN_LINES_MAX = 100
PROSE_WIDTH = 120
CLUSTER_LINES_MAX = 400
CLUSTER_MEMBERS_MAX = 15

# Public headers that take completion tokens or executors, and so may include a little of Asio.
ASIO_HEADERS = {"acceptor.h", "child_process.h", "pool.h", "worker.h"}
ASIO_INCLUDES = {
    "boost/asio/any_completion_handler.hpp",
    "boost/asio/any_io_executor.hpp",  # child_process.h: its streams are Asio's.
    "boost/asio/append.hpp",  # pool.h, as the next four: a Future is an operation of Asio, of any type.
    "boost/asio/associated_cancellation_slot.hpp",
    "boost/asio/associated_executor.hpp",
    "boost/asio/post.hpp",
    "boost/asio/prefer.hpp",
    "boost/asio/async_result.hpp",
    "boost/asio/buffer.hpp",  # child_process.h
    "boost/asio/ip/tcp.hpp",  # acceptor.h: its sockets are the user's.
}

# Public headers about the user's own structs: Boost.Describe names their members.
DESCRIBE_HEADERS = {"value_to.h"}

ANY_FILE = re.compile(r"")
LIBRARY = re.compile(r"^(include|src|apps)/(?!.*_test\.(cc|h)$)")
SYSCALLS = (
    "accept4? bind chmod close connect fcntl getpeername getsockname getsockopt kill listen open pipe2? read recv recvmsg "
    "send sendmsg setsockopt shutdown socket socketpair stat unlink waitid write"
).replace(" ", "|")

# (pattern in code, what to write instead, files that are checked, files where it is right, an example).
# Comments and strings are not code.
BANNED = [
    (rf"(?<![\w:])::({SYSCALLS})\(", "base/sys.h: sys::NAME has the one policy for EINTR, close-on-exec and SIGPIPE",
     LIBRARY, {"src/base/standard_stdio.cc", "src/base/sys.cc", "src/process/spawn.cc"}, "int fd = ::accept4(listener, nullptr, nullptr, 0);"),
    (r"\bwaitpid\s*\(|\bwait\s*\(\s*(nullptr|NULL|&)", "sys::reap on the pidfd: one that is ours, never anybody's",
     LIBRARY, set(), "waitpid(-1, &status, WNOHANG);"),
    (r"\bsleep_for\s*\(|\bsleep_until\s*\(|\bu?sleep\s*\(|\bnanosleep\s*\(", "a timer of the loop; in a test, wait for the event with a deadline",
     LIBRARY, set(), "std::this_thread::sleep_for(100ms);"),
    (r"(?<![\w.>:])(::)?v?fork\s*\(\s*\)(?!\s*(const)?\s*[;{]?\s*//)", "process::spawn: fork copies descriptors and locks that a child must not have",
     LIBRARY, set(), "pid_t child = fork();"),
    (r"\bstd::system\s*\(|\bpopen\s*\(", "process::spawn: no shell between us and the program",
     ANY_FILE, set(), 'std::system("rm -rf x");'),
    (r"\bsignal\s*\(\s*SIG", "sigaction: signal() does not say what happens to system calls and to other threads",
     LIBRARY, set(), "signal(SIGPIPE, SIG_IGN);"),
    (r"\basio::async_connect\b|\bhttp::async_(read|write)\b|\bbeast::tcp_stream\b",
     "sys:: and async_wait: Asio's own sockets are not close-on-exec, Beast's own I/O costs twice the CPU",
     # One request of a person, who waits for it; its socket is no child's: the process starts none.
     # And a few to the debugger of a worker that hangs, over sockets of sys::.
     LIBRARY, {"src/cli/control_client.cc", "src/cli/debugger_visit.cc"}, "co_await asio::async_connect(socket, endpoints);"),
    (r"#\s*if.*\b(__linux__|__APPLE__|_WIN32|__FreeBSD__)\b", "a file per platform, named by its suffix (x_linux.cc)",
     ANY_FILE, set(), "#ifdef __linux__"),
    (r"\bsystem_clock\b|\bCLOCK_REALTIME\b|\bgettimeofday\b|\btime\s*\(\s*(nullptr|NULL)\s*\)",
     "steady_clock: the time of day can be set back, and is for people only",
     # A date of HTTP, of an event, of the start; of a job, in its log.
     LIBRARY, {"src/http/service.cc", "src/cli/run.cc", "src/manager/status_json.h", "src/manager/status_json.cc",
              "src/map/runner.cc"},
     "const auto now = std::chrono::system_clock::now();"),
    (r"\bstd::(mutex|j?thread|lock_guard|unique_lock)\b(?!::)", "the loop: one thread per process, post() to it from others",
     re.compile(r"^src/(base|ipc|net|http|process)/(?!.*_test\.(cc|h)$)"),
     # What is lent may be given back by any thread, and when the loop to post to is gone; what is sent may be, too.
     {"src/ipc/any_thread_sender.cc", "src/ipc/any_thread_sender.h", "src/ipc/shared_pool.cc"}, "std::lock_guard lock{mutex_};"),
]

# Words that are wrong in comments too.
BANNED_WORDS = [
    (r"(?i)\b(?!is_master\b|setup_master\b)\w*master\w*", "primary, as Node says today (only the aliases is_master and setup_master keep it)",
     ANY_FILE, set(), "// the master process"),
    (r"(?i)\bslave\w*", "worker", ANY_FILE, set(), "// the slave"),
    (r"\b(TODO|FIXME|XXX|HACK)\b", "an issue, or the thing itself", ANY_FILE, set(), "// TODO: later"),
]

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)


class Tree:
    """The sources of the repository, by path."""

    def __init__(self, root):
        self.root = Path(root)
        self.files = {}
        for folder in FOLDERS:
            for path in sorted((self.root / folder).rglob("*")):
                if path.suffix in (".h", ".cc"):
                    self.files[path.relative_to(self.root).as_posix()] = path.read_text(encoding="utf-8")

    def matching(self, pattern):
        return {name: text for name, text in self.files.items() if re.search(pattern, name)}


def code_of(text):
    """The code, with comments and strings blanked so that line numbers stay."""
    token = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    return token.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def room_of(included):
    parts = included.split("/")
    if len(parts) == 1:
        return None  # the standard library's <thread>
    return ROOM_OF_HEADER.get(parts[1]) if parts[0] == "cohort" and len(parts) == 2 else parts[0]


def rooms_behind(tree, included, seen):
    """The rooms that an included file brings with it: its own, and those of all that it includes."""
    if included in seen:
        return {}
    seen.add(included)
    room = room_of(included)
    found = {room: included} if room in ROOMS else {}
    text = tree.files.get("include/" + included) or tree.files.get("src/" + included) or ""
    for match in INCLUDE.finditer(text):
        for further, through in rooms_behind(tree, match.group(1), seen).items():
            found.setdefault(further, through)
    return found


def check_layering(tree):
    for name, text in tree.matching(r"^src/").items():
        room = name.split("/")[1]
        if room not in ROOMS:
            yield f"{name}: no room {room}; add it to docs/architecture.md and to ROOMS in tests/style/style_test.py"
            continue
        for match in INCLUDE.finditer(text):
            for used, through in rooms_behind(tree, match.group(1), set()).items():
                if used != room and used not in ROOMS[room]:
                    allowed = ", ".join(sorted(ROOMS[room])) or "no other room"
                    yield (f"{name}:{line_of(text, match.start())}: {room} may use {allowed}, not {used} "
                           f"({match.group(1)}{'' if through == match.group(1) else ' brings ' + through}); "
                           "move what both need down, or hand it in from above")


def check_headers(tree):
    public = tree.matching(r"^include/cohort/")
    if len(public) > PUBLIC_HEADERS_MAX:
        yield f"include/cohort has {len(public)} headers, at most {PUBLIC_HEADERS_MAX}: one per concept"
    for name, text in public.items():
        base = name.rsplit("/", 1)[1]
        if base not in ROOM_OF_HEADER:
            yield f"{name}: say which room implements it (ROOM_OF_HEADER in tests/style/style_test.py)"
        for match in INCLUDE.finditer(text):
            included = match.group(1)
            where = f"{name}:{line_of(text, match.start())}"
            if re.match(r"boost/(json|beast)\b", included):
                yield f"{where}: {included} in a public header; forward-declare, and include it in the .cc"
            elif included.startswith("boost/asio") and (base not in ASIO_HEADERS or included not in ASIO_INCLUDES):
                yield (f"{where}: {included} in a public header; forward-declare asio::io_context, and take tokens "
                       f"through any_completion_handler.hpp, in {', '.join(sorted(ASIO_HEADERS))} only")
            elif re.match(r"boost/(describe|mp11)\b", included) and base in DESCRIBE_HEADERS:
                continue
            elif included.startswith("boost/") and not re.match(r"boost/(asio|system)/", included):
                yield f"{where}: {included} in a public header; Boost.System and a little Asio are all that users see"
            elif match.group().endswith('"') and not included.startswith("cohort/"):
                yield f"{where}: {included} is not installed; a public header includes only cohort/ and the system's"
    for name, text in tree.matching(r"\.h$").items():
        if not text.startswith("// "):
            yield f"{name}:1: begin with a comment: what it is, who owns it, which process and thread may call it"
        if "#pragma once" not in text:
            yield f"{name}: #pragma once is missing"


def find_banned(text, name, rules):
    for pattern, instead, checked, right, _ in rules:
        if not checked.search(name) or name in right:
            continue
        for match in re.finditer(pattern, text):
            yield f"{name}:{line_of(text, match.start())}: `{match.group().strip()}`; instead: {instead}"


def check_spelling(tree):
    for pattern, _, _, _, example in BANNED + BANNED_WORDS:
        if not re.search(pattern, example):
            yield f"the rule {pattern} does not match its own example: {example}"
    for name, text in tree.files.items():
        yield from find_banned(code_of(text), name, BANNED)
        yield from find_banned(text, name, BANNED_WORDS)


def check_lists(tree):
    """Every source is named in a CMakeLists.txt: a file that nobody compiles rots."""
    lists = {tree.root: (tree.root / "CMakeLists.txt").read_text(encoding="utf-8")}
    for folder in FOLDERS:
        for path in (tree.root / folder).rglob("CMakeLists.txt"):
            lists[path.parent] = path.read_text(encoding="utf-8")
    for name in tree.files:
        if name.endswith(".h") and not name.startswith("include/") or name == "fuzz/replay_main.cc":
            continue
        path = tree.root / name
        # A list may leave the ending to a loop: programs/${name}.cc.
        word = re.compile(rf"\b{re.escape(path.stem)}\b")
        if not any(folder in lists and word.search(lists[folder]) for folder in path.parents):
            yield f"{name} is in no CMakeLists.txt: list it, or delete it"


def classes_of(text):
    """(name, body) of each class and struct, nested ones too; the bodies of nested braces are blank."""
    code = code_of(text)
    for match in re.finditer(r"\b(?:class|struct)\s+((?:\w+::)*\w+)[^;{}()=]*\{", code):
        depth, body = 1, []
        for char in code[match.end():]:
            depth += (char == "{") - (char == "}")
            if depth == 0:
                break
            body.append(char if depth == 1 or char in "{}" else " ")
        yield match.group(1), "".join(body)


def members_of(body):
    """How many data members a class has: declarations without parentheses, but for their initializers."""
    body = re.sub(r"\{\s*\}", "{}", re.sub(r"\b(public|private|protected)\s*:", "", body))
    count = 0
    for statement in re.split(r";|\)\s*(?:const)?\s*(?:override)?\s*\{\}", body):
        words = re.sub(r"=.*|\{\}", "", statement, flags=re.S).strip()
        words = re.sub(r"<[^<>]*>", "", re.sub(r"<[^<>]*>", "", re.sub(r"<[^<>]*>", "", words)))
        if not re.search(r"\s\w+(\s*,\s*\w+)*$", words) or "(" in words:
            continue
        if re.match(r"(using|friend|static|inline|typedef|enum|class|struct|template|return|constexpr)\b", words):
            continue
        count += 1 + words.count(",")
    return count


def check_words(tree):
    """Prose of Markdown is wrapped: what is longer than a screen is not read. Tables and code are as they are."""
    for path in [*sorted((tree.root / "docs").glob("*.md")), *sorted(tree.root.glob("*.md"))]:
        fenced = False
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
            fenced ^= line.lstrip().startswith("```")
            if len(line) > PROSE_WIDTH and not fenced and not line.startswith("|"):
                yield f"{path.relative_to(tree.root)}:{number}: {len(line)} characters, at most {PROSE_WIDTH}: wrap it"


def check_sizes(tree):
    for name, text in tree.matching(r"^src/cluster/").items():
        if "_test" in name:
            continue
        if text.count("\n") > CLUSTER_LINES_MAX:
            yield f"{name} has {text.count(chr(10))} lines, at most {CLUSTER_LINES_MAX}: divide it by what it is about"
        for owner, body in classes_of(text):
            if (count := members_of(body)) > CLUSTER_MEMBERS_MAX:
                yield f"{name}: {owner} has {count} members, at most {CLUSTER_MEMBERS_MAX}: some of them are one thing"
    main = tree.files.get("apps/cohort/main.cc", "")
    if main.count("\n") >= MAIN_LINES_MAX:
        yield f"apps/cohort/main.cc has {main.count(chr(10))} lines, under {MAIN_LINES_MAX}: the command lives in src/cli"
    sources = {n: t.count("\n") for n, t in tree.matching(r"^(include|src|apps)/").items() if "_test." not in n}
    tests = {n: t.count("\n") for n, t in tree.matching(r"^tests/|_test\.(cc|h)$").items()}
    lines = sorted(sources.values())
    print(f"{len(lines)} source files, {sum(lines)} lines: median {statistics.median(lines):.0f} (aim: under 150), "
          f"p90 {lines[int(len(lines) * 0.9)]} (aim: under 400), longest {max(sources, key=sources.get)}")
    print(f"{len(tests)} test files, {sum(tests.values())} lines: {sum(tests.values()) / sum(lines):.2f} per source line "
          "(aim: 0.8 or more)")


def main():
    check, root = sys.argv[1:3]
    problems = list(globals()[f"check_{check}"](Tree(root)))
    for problem in problems:
        print(problem)
    print(f"{check}: {len(problems)} problems" if problems else f"{check}: in order")
    sys.exit(1 if problems else 0)


main()
