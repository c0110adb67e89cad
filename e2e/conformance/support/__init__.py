"""What the conformance tests share: tools in one JVM, transcripts of both brokers, certificates, raw frames."""
