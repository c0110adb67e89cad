"""kcat, for clients without a JVM: started and done in milliseconds."""

import subprocess


def kcat(*arguments, stdin=b"", seconds=30, check=True, prefix=()):
    """Runs kcat and returns (exit code, stdout bytes, stderr text). `prefix`: for example an nsenter into another network."""
    argv = [*prefix, "kcat", *map(str, arguments)]
    result = subprocess.run(argv, input=stdin if isinstance(stdin, bytes) else stdin.encode(), capture_output=True, timeout=seconds)
    error = result.stderr.decode(errors="replace")
    if check and result.returncode != 0:
        raise AssertionError(f"{' '.join(argv)}\nexit code {result.returncode}\n{error}")
    return result.returncode, result.stdout, error


def settings(values):
    """librdkafka settings as kcat arguments."""
    return [word for key, value in values.items() for word in ("-X", f"{key}={value}")]


def produce(bootstrap, topic, records, config=None, **options):
    """Produces each of `records` (bytes without a newline) in order, acks=all."""
    arguments = ["-b", bootstrap, "-P", "-t", topic, *settings({"acks": "all", **(config or {})})]
    return kcat(*arguments, stdin=b"".join(r + b"\n" for r in records), **options)


def consume(bootstrap, topic, config=None, **options):
    """All records of a topic from the beginning to its end, as a list of bytes; partitions one after the other."""
    arguments = ["-b", bootstrap, "-C", "-t", topic, "-o", "beginning", "-e", "-q", *settings(config or {})]
    return kcat(*arguments, **options)[1].split(b"\n")[:-1]
