"""The test harness: processes, brokers, Apache Kafka's tools and Apache Kafka itself as oracle. README.md has examples."""
