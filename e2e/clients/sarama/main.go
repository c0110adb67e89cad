// sarama against a broker: with_sarama CHECK… Each check prints what it did and ends with `PASS <check> <records>`; the first
// thing that is not as it should be ends the program with exit code 1.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

var (
	bootstrap = []string{os.Getenv("CLIENT_BOOTSTRAP")}
	records   = 2000
	codecs    = []sarama.CompressionCodec{sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy,
		sarama.CompressionLZ4, sarama.CompressionZSTD}
)

var checks = map[string]func() int{
	"records": checkRecords, "groups": checkGroups, "transactions": checkTransactions, "admin": checkAdmin,
	"security": checkSecurity,
}

func main() {
	if text := os.Getenv("CLIENT_RECORDS"); text != "" {
		records = must(strconv.Atoi(text))
	}
	for _, word := range os.Args[1:] {
		fmt.Printf("PASS %s %d\n", word, checks[word]())
	}
}

func name(what string) string { return os.Getenv("CLIENT_PREFIX") + "-sarama-" + what }

func say(format string, a ...any) { fmt.Printf("  "+format+"\n", a...) }

func fail(format string, a ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", a...)
	os.Exit(1)
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func same(got, wanted any, what string) {
	if !reflect.DeepEqual(got, wanted) {
		fail("%s: got %v, wanted %v", what, got, wanted)
	}
}

func refused(err, wanted error, what string) {
	if !errors.Is(err, wanted) {
		fail("%s: got %v, wanted %v", what, err, wanted)
	}
}

func until(condition func() bool, what string) {
	for deadline := time.Now().Add(20 * time.Second); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			fail("%s: not within 20 s", what)
		}
	}
}

func config(user, password string) *sarama.Config {
	authorities := x509.NewCertPool()
	authorities.AppendCertsFromPEM(must(os.ReadFile(os.Getenv("CLIENT_CA"))))
	c := sarama.NewConfig()
	c.Version = sarama.MaxVersion
	c.Net.TLS.Enable = true
	c.Net.TLS.Config = &tls.Config{RootCAs: authorities}
	c.Net.SASL.Enable = true
	c.Net.SASL.Mechanism = sarama.SASLTypeSCRAMSHA512
	c.Net.SASL.User, c.Net.SASL.Password = user, password
	c.Net.SASL.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &scramClient{} }
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Producer.Return.Successes = true
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Offsets.AutoCommit.Enable = false
	c.Consumer.Group.Heartbeat.Interval = 100 * time.Millisecond
	c.Consumer.MaxWaitTime = 50 * time.Millisecond
	c.Metadata.Retry.Backoff = 50 * time.Millisecond
	return c
}

func asAdmin() *sarama.Config { return config("admin", "admin-secret") }

func admin() sarama.ClusterAdmin { return must(sarama.NewClusterAdmin(bootstrap, asAdmin())) }

func create(topic string, partitions int32, entries map[string]string) {
	detail := &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: map[string]*string{}}
	for key, value := range entries {
		detail.ConfigEntries[key] = &value
	}
	a := admin()
	defer a.Close()
	check(a.CreateTopic(topic, detail, false))
	until(func() bool { return known(a, topic, int(partitions)) }, "metadata of "+topic)
}

func known(a sarama.ClusterAdmin, topic string, partitions int) bool {
	found := must(a.DescribeTopics([]string{topic}))[0]
	for _, partition := range found.Partitions {
		if partition.Leader < 0 {
			return false
		}
	}
	return found.Err == sarama.ErrNoError && len(found.Partitions) == partitions
}

// Record number i of a topic with three partitions: null keys, null and empty values, repeated headers among them.
func record(topic string, i int) *sarama.ProducerMessage {
	m := &sarama.ProducerMessage{Topic: topic, Partition: int32(i % 3), Timestamp: time.UnixMilli(1_700_000_000_000 + int64(i))}
	m.Headers = []sarama.RecordHeader{{Key: []byte("n"), Value: []byte(strconv.Itoa(i))}, {Key: []byte("empty"), Value: []byte{}}}
	if i%3 == 0 {
		m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte("n"), Value: []byte("again")})
	}
	switch i % 50 {
	case 49: // null
	case 24:
		m.Value = sarama.ByteEncoder{}
	default:
		m.Value = sarama.ByteEncoder(append([]byte(strconv.Itoa(i)+":"), bytes.Repeat([]byte{byte(i)}, i%200)...))
	}
	if i%7 != 0 || m.Value == nil {
		m.Key = sarama.StringEncoder("key-" + strconv.Itoa(i%13))
	}
	return m
}

func encoded(e sarama.Encoder) []byte {
	if e == nil {
		return nil
	}
	return must(e.Encode())
}

// The first `count` records of a partition; more than that is an error.
func read(topic string, partition int32, count int, isolation sarama.IsolationLevel) []*sarama.ConsumerMessage {
	c := asAdmin()
	c.Consumer.IsolationLevel = isolation
	consumer := must(sarama.NewConsumer(bootstrap, c))
	defer consumer.Close()
	from := must(consumer.ConsumePartition(topic, partition, sarama.OffsetOldest))
	defer from.Close()
	var got []*sarama.ConsumerMessage
	patience := 20 * time.Second
	for {
		select {
		case m := <-from.Messages():
			got = append(got, m)
		case <-time.After(patience):
			same(len(got), count, fmt.Sprintf("records of %s-%d", topic, partition))
			return got
		}
		if len(got) == count {
			patience = 150 * time.Millisecond
		}
	}
}

func checkRecords() int {
	for _, codec := range codecs {
		topic := name(codec.String())
		create(topic, 3, map[string]string{"retention.ms": "-1"})
		c := asAdmin()
		c.Producer.Compression = codec
		c.Producer.Idempotent = true
		c.Net.MaxOpenRequests = 1
		producer := must(sarama.NewSyncProducer(bootstrap, c))
		for i := 0; i < records; i += 250 {
			var batch []*sarama.ProducerMessage
			for j := i; j < min(i+250, records); j++ {
				batch = append(batch, record(topic, j))
			}
			check(producer.SendMessages(batch))
		}
		check(producer.Close())
		var group sync.WaitGroup
		var all [3][]*sarama.ConsumerMessage
		for partition := range all {
			group.Go(func() {
				all[partition] = read(topic, int32(partition), (records+2-partition)/3, sarama.ReadUncommitted)
			})
		}
		group.Wait()
		for partition, got := range all {
			for at, m := range got {
				wanted := record(topic, 3*at+partition)
				where := fmt.Sprintf("%s-%d at %d: ", topic, partition, at)
				same(m.Offset, int64(at), where+"offset")
				same(m.Key, encoded(wanted.Key), where+"key")
				same(m.Value, encoded(wanted.Value), where+"value")
				same(m.Timestamp.UnixMilli(), wanted.Timestamp.UnixMilli(), where+"timestamp")
				for h, header := range m.Headers {
					same(*header, wanted.Headers[h], where+"header")
				}
				same(len(m.Headers), len(wanted.Headers), where+"headers")
			}
		}
		say("%s: %d records in order, with their bytes, headers and timestamps", codec, records)
	}
	return records * len(codecs)
}

func checkTransactions() int {
	topic, copied, group, id := name("txn"), name("txn-copy"), name("txn-group"), name("txn-id")
	create(topic, 1, nil)
	create(copied, 1, nil)
	newProducer := func() sarama.SyncProducer {
		c := asAdmin()
		c.Producer.Idempotent = true
		c.Producer.Transaction.ID = id
		c.Net.MaxOpenRequests = 1
		return must(sarama.NewSyncProducer(bootstrap, c))
	}
	send := func(p sarama.SyncProducer, topic, text string) error {
		_, _, err := p.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(text)})
		return err
	}
	values := func(messages []*sarama.ConsumerMessage) (list []string) {
		for _, m := range messages {
			list = append(list, string(m.Value))
		}
		return
	}
	end := func(p sarama.SyncProducer, commit bool) error {
		if commit {
			return p.CommitTxn()
		}
		return p.AbortTxn()
	}
	producer := newProducer()
	var committed, copies []string
	for batch, commit := range []bool{true, false, true} {
		check(producer.BeginTxn())
		for i := range 10 {
			text := fmt.Sprintf("%d-%d", batch, i)
			check(send(producer, topic, text))
			if commit {
				committed, copies = append(committed, text), append(copies, "copy of "+text)
			}
		}
		check(end(producer, commit))
	}
	got := read(topic, 0, 20, sarama.ReadCommitted)
	same(values(got), committed, "read_committed")
	read(topic, 0, 30, sarama.ReadUncommitted)
	say("commit, abort, commit: read_committed sees 20 records of 30")

	a := admin()
	defer a.Close()
	next := got[19].Offset + 1
	for _, commit := range []bool{false, true} {
		check(producer.BeginTxn())
		for _, text := range copies {
			check(send(producer, copied, text))
		}
		check(producer.AddOffsetsToTxn(map[string][]*sarama.PartitionOffsetMetadata{topic: {{Partition: 0, Offset: next}}}, group))
		check(end(producer, commit))
		offset := func() int64 {
			return must(a.ListConsumerGroupOffsets(group, map[string][]int32{topic: {0}})).GetBlock(topic, 0).Offset
		}
		if commit {
			until(func() bool { return offset() == next }, "the group's offset after the commit")
		} else {
			same(offset(), int64(-1), "the group's offset after the abort")
		}
	}
	same(values(read(copied, 0, 20, sarama.ReadCommitted)), copies, "copies")
	say("records and offsets move together: nothing with the abort, everything with the commit")

	heir := newProducer()
	check(producer.BeginTxn())
	err := send(producer, topic, "zombie")
	if !errors.Is(err, sarama.ErrInvalidProducerEpoch) && !errors.Is(err, sarama.ErrProducerFenced) {
		fail("a fenced producer could write: %v", err)
	}
	say("the older producer of the id is fenced: %v", err)
	check(heir.BeginTxn())
	check(send(heir, topic, "heir"))
	check(heir.CommitTxn())
	check(heir.Close())
	_ = producer.Close() // it is fenced
	same(values(read(topic, 0, 21, sarama.ReadCommitted)), append(committed, "heir"), "after the fencing")
	return 92
}

func checkSecurity() int {
	c := config("admin", "guessed")
	c.Metadata.Retry.Max = 0
	_, err := sarama.NewClient(bootstrap, c)
	refused(err, sarama.ErrSASLAuthenticationFailed, "a wrong password")
	say("wrong password: %v", err)
	topic := name("secured")
	create(topic, 1, nil)
	limited := config("limited", "limited-secret")
	limited.Producer.Retry.Max, limited.Metadata.Retry.Max = 0, 0
	producer := must(sarama.NewSyncProducer(bootstrap, limited))
	defer producer.Close()
	send := func() error {
		_, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder("x")})
		return err
	}
	refused(send(), sarama.ErrTopicAuthorizationFailed, "without an ACL")
	say("without an ACL: %v", sarama.ErrTopicAuthorizationFailed)
	a := admin()
	defer a.Close()
	check(a.CreateACL(sarama.Resource{ResourceType: sarama.AclResourceTopic, ResourceName: topic,
		ResourcePatternType: sarama.AclPatternLiteral},
		sarama.Acl{Principal: "User:limited", Host: "*", Operation: sarama.AclOperationWrite, PermissionType: sarama.AclPermissionAllow}))
	until(func() bool { return send() == nil }, "the ACL to count")
	read(topic, 0, 1, sarama.ReadUncommitted)
	say("with an ACL: written")
	return 1
}
