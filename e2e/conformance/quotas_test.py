"""Client quotas: kafka-configs against both brokers."""


def test_quotas_are_set_described_and_removed(both):
    def scenario(kafka):
        def configs(*arguments, **how):
            return kafka("kafka-configs", *arguments, ordered=False, **how)

        def alter(*entity, add=None, delete=None, **how):
            change = ("--add-config", add) if add else ("--delete-config", delete)
            return configs("--alter", *change, *entity, **how)

        alice = ("--entity-type", "users", "--entity-name", "qalice")
        reports = ("--entity-type", "clients", "--entity-name", "qreports")
        users, clients = ("--entity-type", "users", "--entity-default"), ("--entity-type", "clients", "--entity-default")
        address = ("--entity-type", "ips", "--entity-name", "127.0.0.9")
        everything = [alice, reports, users, clients, alice + reports, alice + clients, users + reports, users + clients]
        for number, entity in enumerate(everything):
            alter(*entity, add=f"producer_byte_rate={1000 + number},consumer_byte_rate={2000 + number}")
        alter(*alice, add="request_percentage=12.5,controller_mutation_rate=0.5")
        alter(*address, add="connection_creation_rate=10")
        alter("--entity-type", "ips", "--entity-default", add="connection_creation_rate=20")
        for entity in [*everything, address, ("--entity-type", "users"), ("--entity-type", "clients"), ("--entity-type", "ips"),
                       ("--entity-type", "users", "--entity-type", "clients"), ("--entity-type", "ips", "--entity-default"),
                       ("--user", "qalice"), ("--client", "qreports"), ("--ip", "127.0.0.9"), ("--user-defaults",), ("--client-defaults",),
                       ("--ip-defaults",), ("--user", "qalice", "--client", "qreports"), ("--user-defaults", "--client", "qreports")]:
            configs("--describe", *entity)
        alter(*alice, add="producer_byte_rate=77")
        alter(*alice, delete="request_percentage,controller_mutation_rate")
        configs("--describe", *alice)
        alter(*alice, delete="request_percentage", fails=True)
        for entity in everything:
            alter(*entity, delete="producer_byte_rate,consumer_byte_rate")
        alter(*address, delete="connection_creation_rate")
        alter("--entity-type", "ips", "--entity-default", delete="connection_creation_rate")
        configs("--describe", *alice)
        configs("--describe", "--entity-type", "users", "--entity-type", "clients")
        alter(*alice, add="request_percentage=NaN")
        configs("--describe", *alice)
        alter(*alice, delete="request_percentage")
    both(scenario)


def test_wrong_quotas_are_refused_with_kafkas_words(both):
    def scenario(kafka):
        def refused(entity, change):
            kafka("kafka-configs", "--alter", "--add-config", change, *entity, fails=True)
        user, address = ("--entity-type", "users", "--entity-name", "wrong"), ("--entity-type", "ips", "--entity-name", "127.0.0.9")
        refused(user, "producer_byte_rate=0")
        refused(user, "producer_byte_rate=-1")
        refused(user, "producer_byte_rate=1.5")
        refused(user, "producer_byte_rate=many")
        refused(user, "consumer_byte_rate=1e19")
        refused(user, "request_percentage=0")
        refused(user, "controller_mutation_rate=-0.5")
        refused(user, "connection_creation_rate=5")
        refused(user, "no_such_quota=5")
        refused(address, "connection_creation_rate=0")
        refused(address, "connection_creation_rate=-1")
        refused(address, "connection_creation_rate=2147483648")
        refused(address, "producer_byte_rate=5")
        refused(("--entity-type", "ips", "--entity-name", "not an address"), "connection_creation_rate=5")
        refused(("--entity-type", "ips", "--entity-name", "no-such-host.invalid"), "connection_creation_rate=5")
        refused(user + address, "producer_byte_rate=5")
    both(scenario)
