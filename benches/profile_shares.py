"""Where the time goes, by kind: reads the output of `perf script` and tells the share of every kind of cost in the threads
whose names match its argument.

Each sample counts once, for the first kind below that its stack shows; so allocation is told apart from who allocates, and a
second table says whose allocations they are. """

import collections
import re
import sys

# In this order: what the innermost frame is, then what any frame is.
LEAVES = [
    ("allocation", r"malloc|calloc|realloc|_int_free|^free|cfree|unlink_chunk|sysmalloc|systrim|posix_memalign|aligned_alloc|madvise"),
    ("copying and comparing memory", r"^__mem|^memcpy|^memmove|^memset|^memcmp|^__bcmp|^__str"),
]
KERNEL = [
    ("kernel: network", r"tcp_|inet|sock_|sock|skb|epoll|__ip_|ip_|netif|loopback|sys_sendto|sys_recvfrom|sys_writev"),
    ("kernel: disk", r"fdatasync|fsync|ext4|xfs|btrfs|blk_|vfs_write|vfs_read|jbd2|sync_file_range|sys_write|sys_pwrite|sys_pread"),
    ("kernel: waking and waiting", r"futex|schedule|nanosleep|timer|eventfd"),
    ("kernel: pages of memory", r"page_fault|exc_page|mmap|munmap|madvise|brk"),
]
FRAMES = [
    ("SHA-256 of the journal", r"sha2::|sha256"),
    ("JSON", r"serde_json|serde_core::|serde::|::serialize|::deserialize|itoa|ryu"),
    ("sled", r"\bsled::"),
    ("HTTP client", r"reqwest|hyper|http::|httparse|h2::|tower|url::|http_body"),
    ("store: books, journal, rows", r"sealift::store"),
    ("engine and domain", r"sealift::engine|sealift::domain"),
    ("calls: spelling and understanding", r"sealift::cloud"),
    ("tracing", r"tracing"),
    ("async runtime", r"tokio|futures|mio::|parking_lot|std::sync"),
]
OWNERS = FRAMES


def kind(frames):
    leaf, library = frames[0]
    if "kernel" in library or library == "[unknown]" and leaf.startswith("0xffff"):
        names = " ".join(name for name, of in frames if "kernel" in of or "[unknown]" in of)
        return next((kind for kind, pattern in KERNEL if re.search(pattern, names)), "kernel: other")
    for kind_, pattern in LEAVES:
        if re.search(pattern, leaf):
            return kind_
    return owner(frames)


def owner(frames):
    for name, _ in frames:
        for kind_, pattern in OWNERS:
            if re.search(pattern, name):
                return kind_
    return "other"


def samples(lines):
    command, frames = None, []
    for line in lines:
        if not line.strip():
            if frames:
                yield command, frames
            command, frames = None, []
        elif not line[0].isspace():
            command = line.split()[0]
        else:
            match = re.match(r"\s+[0-9a-f]+ (.*) \(([^()]*)\)$", line.rstrip())
            if match:
                frames.append((re.sub(r"\+0x[0-9a-f]+$", "", match[1]), match[2]))
    if frames:
        yield command, frames


def table(title, counts, total):
    print(f"\n{title}")
    for name, count in counts.most_common():
        print(f"  {count / total:6.1%}  {name}")


def first(counts, number):
    return collections.Counter(dict(counts.most_common(number)))


def main():
    wanted = re.compile(sys.argv[1])
    kinds, allocations, threads, functions, inside = (collections.Counter() for _ in range(5))
    for command, frames in samples(sys.stdin):
        if not wanted.search(command):
            continue
        found = kind(frames)
        kinds[found] += 1
        threads[re.sub(r"\d+$", "", command)] += 1
        functions[frames[0][0][:90]] += 1
        inside.update({name[:110] for name, _ in frames if re.match(r"<?sealift::", name)})
        if found == "allocation":
            allocations[owner(frames)] += 1
    total = sum(kinds.values())
    if not total:
        sys.exit("no samples of these threads")
    print(f"{total} samples")
    table("by kind", kinds, total)
    table("allocation, by who allocates", allocations, total)
    table("by thread", threads, total)
    table("functions, their own time, the first 25", first(functions, 25), total)
    table("functions of Sealift, with all that they call, the first 40", first(inside, 40), total)


main()
