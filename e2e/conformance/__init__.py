"""Our broker against real clients and Apache's own tools, with Apache Kafka beside it as oracle."""
