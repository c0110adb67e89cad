package main

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"github.com/IBM/sarama"
)

type position struct {
	Partition int32
	Offset    int64
}

// A member of a group that remembers what it got and marks it; commit() commits.
type member struct {
	group   sarama.ConsumerGroup
	stop    context.CancelFunc
	ended   chan struct{}
	mutex   sync.Mutex
	owned   int
	got     []position
	session sarama.ConsumerGroupSession
}

func join(group, topic string) *member {
	ctx, stop := context.WithCancel(context.Background())
	m := &member{group: must(sarama.NewConsumerGroup(bootstrap, group, asAdmin())), stop: stop, ended: make(chan struct{})}
	go func() {
		defer close(m.ended)
		for ctx.Err() == nil {
			if err := m.group.Consume(ctx, []string{topic}, m); err != nil && ctx.Err() == nil {
				fail("a member of %s: %v", group, err)
			}
		}
	}()
	return m
}

func (m *member) Setup(session sarama.ConsumerGroupSession) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.session, m.owned = session, 0
	for _, partitions := range session.Claims() {
		m.owned += len(partitions)
	}
	return nil
}

func (m *member) Cleanup(sarama.ConsumerGroupSession) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.session, m.owned = nil, 0
	return nil
}

func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		m.mutex.Lock()
		m.got = append(m.got, position{message.Partition, message.Offset})
		session.MarkMessage(message, "")
		m.mutex.Unlock()
	}
	return nil
}

func (m *member) commit() {
	m.mutex.Lock()
	session := m.session
	m.mutex.Unlock()
	if session != nil { // else the group rebalances
		session.Commit()
	}
}

func (m *member) taken() []position {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return append([]position(nil), m.got...)
}

func (m *member) close() {
	m.stop()
	<-m.ended
	check(m.group.Close())
}

// `count` records in each partition, whose offsets begin at `first`.
func fill(topic string, partitions int32, first int64, count int) map[position]bool {
	producer := must(sarama.NewSyncProducer(bootstrap, asAdmin()))
	wanted := map[position]bool{}
	var batch []*sarama.ProducerMessage
	for i := range count {
		for p := range partitions {
			batch = append(batch, &sarama.ProducerMessage{Topic: topic, Partition: p, Key: sarama.StringEncoder("key"),
				Value: sarama.StringEncoder(fmt.Sprint(i))})
			wanted[position{p, first + int64(i)}] = true
		}
	}
	check(producer.SendMessages(batch))
	check(producer.Close())
	sent := map[position]bool{}
	for _, m := range batch {
		sent[position{m.Partition, m.Offset}] = true
	}
	same(sent, wanted, "offsets of what was sent")
	return wanted
}

func settle(members []*member, shares ...int) {
	until(func() bool {
		for i, m := range members {
			m.mutex.Lock()
			owned := m.owned
			m.mutex.Unlock()
			if owned != shares[i] {
				return false
			}
		}
		return true
	}, fmt.Sprintf("shares of %v partitions", shares))
}

// What was not committed may come again when the group changes.
func allGot(members []*member, wanted map[position]bool) {
	until(func() bool {
		got := map[position]bool{}
		for _, m := range members {
			for _, at := range m.taken() {
				got[at] = true
			}
		}
		return maps.Equal(got, wanted)
	}, fmt.Sprintf("%d records", len(wanted)))
}

func checkGroups() int {
	topic, group := name("groups"), name("group")
	create(topic, 6, nil)
	first := join(group, topic)
	settle([]*member{first}, 6)
	second := join(group, topic)
	settle([]*member{first, second}, 3, 3)
	sent := fill(topic, 6, 0, 50)
	allGot([]*member{first, second}, sent)
	say("two members: 3 partitions each, every record")
	second.close()
	settle([]*member{first}, 6)
	maps.Copy(sent, fill(topic, 6, 50, 10))
	allGot([]*member{first, second}, sent)
	a := admin()
	defer a.Close()
	until(func() bool {
		first.commit()
		offsets := must(a.ListConsumerGroupOffsets(group, map[string][]int32{topic: {0, 1, 2, 3, 4, 5}}))
		for p := range int32(6) {
			if offsets.GetBlock(topic, p).Offset != 60 {
				return false
			}
		}
		return true
	}, "committed offsets")
	first.close()
	say("one left, the other has all 6 partitions")
	more := fill(topic, 6, 60, 10)
	third := join(group, topic)
	allGot([]*member{third}, more)
	same(len(third.taken()), len(more), "each record once")
	third.close()
	say("a new member resumes from the committed offsets")
	return 420
}

func checkAdmin() int {
	topic, group := name("admin"), name("admin-group")
	a := admin()
	defer a.Close()
	brokers, _, err := a.DescribeCluster()
	check(err)
	same(len(brokers), 1, "brokers")
	topicsAndConfigs(a, topic)
	offsetsAndGroups(a, topic, group)
	acls(a, topic)
	check(a.DeleteTopic(topic))
	until(func() bool { _, there := must(a.ListTopics())[topic]; return !there }, "the topic to be gone")
	refused(a.DeleteTopic(topic), sarama.ErrUnknownTopicOrPartition, "the same topic again")
	say("topic deleted, once")
	return 40
}

func topicsAndConfigs(a sarama.ClusterAdmin, topic string) {
	create(topic, 2, map[string]string{"retention.ms": "3600000"})
	refused(a.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: 1}, false), sarama.ErrTopicAlreadyExists,
		"the same topic again")
	check(a.CreatePartitions(topic, 4, nil, false))
	until(func() bool { return known(a, topic, 4) }, "4 partitions")
	value := func(key string) string {
		entries := must(a.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic, ConfigNames: []string{key}}))
		return entries[0].Value
	}
	same(value("retention.ms"), "3600000", "retention.ms")
	compact, soon := "compact", "soon"
	alter := func(entries map[string]sarama.IncrementalAlterConfigsEntry) error {
		return a.IncrementalAlterConfig(sarama.TopicResource, topic, entries, false)
	}
	check(alter(map[string]sarama.IncrementalAlterConfigsEntry{
		"cleanup.policy": {Operation: sarama.IncrementalAlterConfigsOperationAppend, Value: &compact},
		"retention.ms":   {Operation: sarama.IncrementalAlterConfigsOperationDelete}}))
	until(func() bool {
		return value("cleanup.policy") == "delete,compact" && value("retention.ms") == "604800000"
	}, "altered configs")
	refused(alter(map[string]sarama.IncrementalAlterConfigsEntry{
		"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &soon}}), sarama.ErrInvalidConfig, "a bad value")
	say("topics created, refused, grown; configs set, appended to, reset, refused")
}

func offsetsAndGroups(a sarama.ClusterAdmin, topic, group string) {
	wanted := fill(topic, 4, 0, 10)
	check(a.DeleteRecords(topic, map[int32]int64{0: 4}))
	same(read(topic, 0, 6, sarama.ReadUncommitted)[0].Offset, int64(4), "first record after DeleteRecords")
	for offset := range int64(4) {
		delete(wanted, position{0, offset})
	}
	m := join(group, topic)
	allGot([]*member{m}, wanted)
	m.commit()
	described := must(a.DescribeConsumerGroups([]string{group}))[0]
	same([]any{described.State, len(described.Members)}, []any{"Stable", 1}, "DescribeConsumerGroups")
	refused(a.DeleteConsumerGroup(group), sarama.ErrNonEmptyGroup, "deleting a group in use")
	m.close()
	until(func() bool { return must(a.DescribeConsumerGroups([]string{group}))[0].State == "Empty" }, "the group to be empty")
	check(a.DeleteConsumerGroupOffset(group, topic, 0))
	offsets := must(a.ListConsumerGroupOffsets(group, map[string][]int32{topic: {0, 1}}))
	same([]int64{offsets.GetBlock(topic, 0).Offset, offsets.GetBlock(topic, 1).Offset}, []int64{-1, 10}, "the group's offsets")
	_, there := must(a.ListConsumerGroups())[group]
	same(there, true, "ListConsumerGroups")
	check(a.DeleteConsumerGroup(group))
	_, there = must(a.ListConsumerGroups())[group]
	same(there, false, "ListConsumerGroups")
	say("records deleted; a group listed, described, kept while in use, deleted; its offsets listed and deleted")
}

func acls(a sarama.ClusterAdmin, topic string) {
	check(a.CreateACL(sarama.Resource{ResourceType: sarama.AclResourceTopic, ResourceName: topic, ResourcePatternType: sarama.AclPatternPrefixed},
		sarama.Acl{Principal: "User:somebody", Host: "*", Operation: sarama.AclOperationWrite, PermissionType: sarama.AclPermissionAllow}))
	longer := topic + "-x"
	filter := sarama.AclFilter{ResourceType: sarama.AclResourceTopic, ResourceName: &longer, ResourcePatternTypeFilter: sarama.AclPatternMatch,
		Operation: sarama.AclOperationAny, PermissionType: sarama.AclPermissionAny}
	until(func() bool {
		found := must(a.ListAcls(filter))
		return len(found) == 1 && found[0].ResourceName == topic
	}, "the ACL")
	matching := must(a.DeleteACL(filter, false))
	same([]any{len(matching), matching[0].Principal}, []any{1, "User:somebody"}, "DeleteACL")
	until(func() bool { return len(must(a.ListAcls(filter))) == 0 }, "no ACL")
	say("ACLs created, described, deleted")
}
