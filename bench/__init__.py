"""Comparisons of Millrace with Apache Kafka, run side by side."""
