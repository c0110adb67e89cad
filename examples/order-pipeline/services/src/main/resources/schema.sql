CREATE TABLE IF NOT EXISTS reservation (
  order_id    VARCHAR PRIMARY KEY,   -- an order is reserved once, however often its record comes
  sku         VARCHAR NOT NULL,
  quantity    INT NOT NULL,
  reserved_at BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS stock (
  sku      VARCHAR PRIMARY KEY,
  reserved BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS outbox (
  id       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  order_id VARCHAR NOT NULL,
  content  BYTEA NOT NULL,
  trace    VARCHAR
);
