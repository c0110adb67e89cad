"""kafka-acls against both brokers, the authorizer on."""


def test_acls_are_added_listed_and_removed(both):
    def scenario(kafka):
        def acls(*arguments, **how):
            return kafka("kafka-acls", *arguments, ordered=False, **how)
        acls("--list")
        acls("--add", "--allow-principal", "User:bob", "--producer", "--topic", "orders")
        acls("--add", "--allow-principal", "User:bob", "--consumer", "--topic", "orders", "--group", "billing")
        acls("--add", "--deny-principal", "User:*", "--deny-host", "10.0.0.1", "--operation", "Write", "--topic", "orders")
        acls("--add", "--allow-principal", "User:carol", "--operation", "Read", "--operation", "DescribeConfigs", "--topic", "team-",
             "--resource-pattern-type", "prefixed")
        acls("--add", "--allow-principal", "User:carol", "--operation", "Create", "--cluster")
        acls("--add", "--allow-principal", "User:carol", "--operation", "All", "--transactional-id", "tx")
        acls("--list", "--topic", "orders")
        acls("--list", "--principal", "User:carol")
        acls("--list", "--topic", "team-red", "--resource-pattern-type", "match")
        acls("--list", "--topic", "team-red", "--resource-pattern-type", "any")
        acls("--list", "--group", "*")
        acls("--remove", "--force", "--allow-principal", "User:bob", "--operation", "Read", "--topic", "orders")
        acls("--list", "--topic", "orders")
        acls("--remove", "--force", "--topic", "orders")
        acls("--remove", "--force", "--topic", "team-", "--resource-pattern-type", "prefixed")
        acls("--remove", "--force", "--group", "billing")
        acls("--remove", "--force", "--cluster")
        acls("--remove", "--force", "--transactional-id", "tx")
        acls("--list")
        acls("--remove", "--force", "--topic", "orders")
    both(scenario)


def test_wrong_acls_are_refused_with_kafkas_words(both):
    def scenario(kafka):
        def refused(*arguments):
            kafka("kafka-acls", *arguments, fails=True)
        refused("--add", "--allow-principal", "bob", "--operation", "Read", "--topic", "orders")
        refused("--add", "--allow-principal", "User:bob", "--operation", "IdempotentWrite", "--topic", "orders")
        refused("--add", "--allow-principal", "User:bob", "--operation", "Read", "--topic", "")
        refused("--add", "--allow-principal", "User:bob", "--operation", "Read", "--topic", "orders", "--resource-pattern-type", "any")
    both(scenario)
