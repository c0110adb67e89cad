"""Millrace and Apache Kafka nodes in one cluster."""
