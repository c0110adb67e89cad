#include "broker/coordinator/group/group_coordinator.h"

#include <algorithm>
#include <utility>

#include "broker/coordinator/group/check_heartbeat.h"

namespace broker::coordinator::group {

namespace {

std::int16_t wire(ErrorCode error) { return static_cast<std::int16_t>(error); }

std::set<std::string> lower_case(const std::vector<std::string>& names) {
  std::set<std::string> lower;
  for (std::string name : names) {
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    lower.insert(std::move(name));
  }
  return lower;
}

/// Answers to one question per group, put back into the order of the request. Lives on the strand
/// of the call.
template <class Answer>
class InOrder : public std::enable_shared_from_this<InOrder<Answer>> {
 public:
  InOrder(std::size_t count, UniqueFunction<void(std::vector<Answer>)> done)
      : answers_(count), left_(count), done_(std::move(done)) {}

  Reply<Answer> slot(std::size_t index) {
    return [self = this->shared_from_this(), index](Answer answer) {
      self->answers_[index] = std::move(answer);
      if (--self->left_ == 0) std::exchange(self->done_, nullptr)(std::move(self->answers_));
    };
  }

 private:
  std::vector<Answer> answers_;
  std::size_t left_;
  UniqueFunction<void(std::vector<Answer>)> done_;
};

using OffsetGroup = protocol::OffsetFetchResponse::OffsetFetchResponseGroup;

// Versions below 8 ask about one group, without naming it in the answer.
protocol::OffsetFetchResponse single_group(OffsetGroup group) {
  protocol::OffsetFetchResponse response;
  response.error_code = group.error_code;
  for (auto& topic : group.topics) {
    auto& answer = response.topics.emplace_back();
    answer.name = topic.name;
    for (auto& partition : topic.partitions) {
      auto& entry = answer.partitions.emplace_back();
      entry.partition_index = partition.partition_index;
      entry.committed_offset = partition.committed_offset;
      entry.committed_leader_epoch = partition.committed_leader_epoch;
      entry.metadata = partition.metadata;
      entry.error_code = partition.error_code;
    }
  }
  return response;
}

// Version 1 has no place for an error but beside each partition.
OffsetGroup error_per_partition(const protocol::OffsetFetchRequest::OffsetFetchRequestGroup& asked,
                                std::int16_t error) {
  OffsetGroup group;
  group.group_id = asked.group_id;
  if (!asked.topics) return group;
  for (const auto& topic : *asked.topics) {
    auto& answer = group.topics.emplace_back();
    answer.name = topic.name;
    for (const std::int32_t partition : topic.partition_indexes) {
      auto& entry = answer.partitions.emplace_back();
      entry.partition_index = partition;
      entry.committed_offset = -1;
      entry.metadata = "";
      entry.error_code = error;
    }
  }
  return group;
}

std::vector<protocol::OffsetFetchRequest::OffsetFetchRequestGroup> asked_groups(
    const CallContext& call, protocol::OffsetFetchRequest request) {
  if (call.version >= 8) return std::move(request.groups);
  protocol::OffsetFetchRequest::OffsetFetchRequestGroup group;
  group.group_id = std::move(request.group_id);
  if (request.topics) {
    group.topics.emplace();
    for (auto& topic : *request.topics) {
      auto& asked = group.topics->emplace_back();
      asked.name = std::move(topic.name);
      asked.partition_indexes = std::move(topic.partition_indexes);
    }
  } else {
    group.topics.reset();
  }
  std::vector<protocol::OffsetFetchRequest::OffsetFetchRequestGroup> groups;
  groups.push_back(std::move(group));
  return groups;
}

}  // namespace

GroupCoordinator::GroupCoordinator(const GroupOptions& options,
                                   const CoordinatorOptions& runtime_options,
                                   replication::ReplicaManager& replicas, io::WorkerPool& workers,
                                   CreateOffsetsTopic create_topic, std::uint64_t seed)
    : options_(options),
      create_topic_(std::move(create_topic)),
      replicas_(replicas),
      workers_(workers),
      view_(std::make_shared<const View>(View{std::make_shared<metadata::MetadataImage>(), {}})),
      runtime_(runtime_options, replicas, [this, seed](std::int32_t partition) {
        // Member ids are never drawn twice, whichever shard draws them.
        return std::make_unique<GroupShard>(
            options_, ports(),
            seed + static_cast<std::uint64_t>(partition) * 0x632be59bd9b4e019ULL);
      }) {}

GroupCoordinator::~GroupCoordinator() = default;

void GroupCoordinator::apply(const metadata::MetadataUpdate& update) {
  View next{update.image, view_.get()->topics_created_at};
  if (!update.changes.topics_created.empty() || next.topics_created_at.value < 0)
    next.topics_created_at = update.image->provenance.offset;
  view_.set(std::make_shared<const View>(std::move(next)));
  if (update.changes.topics_deleted.empty()) return;
  std::set<std::string> gone;
  for (const auto& [id, name] : update.changes.topics_deleted) gone.insert(name);
  runtime_.run_on_all(
      [gone](Shard& shard, const Now&) {
        return static_cast<GroupShard&>(shard).forget_topics(gone);
      },
      [](CoordinatorRuntime::Visit) {});
}

Result<BrokerId> GroupCoordinator::find_coordinator(const std::string& group_id,
                                                    const metadata::MetadataImage& image) {
  const metadata::TopicImage* topic = image.topics.find(std::string_view(kOffsetsTopic));
  if (!topic) {
    create_topic_();
    return ErrorCode::kCoordinatorNotAvailable;
  }
  const auto count = static_cast<std::int32_t>(topic->partitions.size());
  const auto* partition = topic->partitions.find(partition_for(group_id, count));
  if (!partition || partition->leader == metadata::kNoLeader)
    return ErrorCode::kCoordinatorNotAvailable;
  return partition->leader;
}

template <class Response>
Reply<Response> GroupCoordinator::to_caller(Reply<Response> reply) const {
  // Posted even on the same strand: the shard may be in the middle of answering others.
  return [&origin = replicas_.strands().current(),
          reply = std::move(reply)](Response response) mutable {
    origin.post([reply = std::move(reply), response = std::move(response)]() mutable {
      reply(std::move(response));
    });
  };
}

template <class Response, class Work, class Refusal>
void GroupCoordinator::on_group(const std::string& group_id, Reply<Response> reply, Work work,
                                Refusal refusal) {
  // Exactly one of the two ways is taken.
  auto shared = std::make_shared<Reply<Response>>(to_caller(std::move(reply)));
  const std::int32_t partitions = runtime_.partition_count();
  if (partitions == 0) return (*shared)(refusal(ErrorCode::kCoordinatorNotAvailable));
  runtime_.run(
      partition_for(group_id, partitions),
      [shared, work = std::move(work)](Shard& shard, const Now& now) mutable {
        return work(static_cast<GroupShard&>(shard), now, std::move(*shared));
      },
      [shared, refusal](ErrorCode error) mutable { (*shared)(refusal(error)); });
}

void GroupCoordinator::join_group(CallContext call, protocol::JoinGroupRequest request,
                                  JoinReply reply) {
  const std::string group_id = request.group_id;
  const std::string member_id = request.member_id;
  on_group<protocol::JoinGroupResponse>(
      group_id, std::move(reply),
      [call = std::move(call), request = std::move(request)](GroupShard& shard, const Now& now,
                                                             JoinReply answer) {
        return shard.join(call, request, now, std::move(answer));
      },
      [member_id](ErrorCode error) { return join_error(member_id, error); });
}

void GroupCoordinator::sync_group(CallContext call, protocol::SyncGroupRequest request,
                                  SyncReply reply) {
  const std::string group_id = request.group_id;
  on_group<protocol::SyncGroupResponse>(
      group_id, std::move(reply),
      [call = std::move(call), request = std::move(request)](GroupShard& shard, const Now& now,
                                                             SyncReply answer) {
        return shard.sync(call, request, now, std::move(answer));
      },
      sync_error);
}

void GroupCoordinator::heartbeat(CallContext, protocol::HeartbeatRequest request,
                                 Reply<protocol::HeartbeatResponse> reply) {
  const std::string group_id = request.group_id;
  on_group<protocol::HeartbeatResponse>(
      group_id, std::move(reply),
      [request = std::move(request)](GroupShard& shard, const Now& now,
                                     Reply<protocol::HeartbeatResponse> answer) {
        return shard.heartbeat(request, now, std::move(answer));
      },
      [](ErrorCode error) {
        protocol::HeartbeatResponse response;
        // Members keep their sessions while the coordinator moves.
        if (error != ErrorCode::kCoordinatorLoadInProgress) response.error_code = wire(error);
        return response;
      });
}

void GroupCoordinator::leave_group(CallContext call, protocol::LeaveGroupRequest request,
                                   Reply<protocol::LeaveGroupResponse> reply) {
  const std::string group_id = request.group_id;
  on_group<protocol::LeaveGroupResponse>(
      group_id, std::move(reply),
      [call = std::move(call), request = std::move(request)](
          GroupShard& shard, const Now& now, Reply<protocol::LeaveGroupResponse> answer) {
        return shard.leave(call, request, now, std::move(answer));
      },
      [](ErrorCode error) {
        protocol::LeaveGroupResponse response;
        response.error_code = wire(error);
        return response;
      });
}

GroupPorts GroupCoordinator::ports() {
  return {[this] { return view_.get()->image; }, [this] { return view_.get()->topics_created_at; },
          [this](RegexJob job) { resolve_regexes(std::move(job)); }};
}

void GroupCoordinator::resolve_regexes(RegexJob job) {
  struct Work {
    RegexJob job;
    std::map<std::string, ResolvedRegex> resolved;
  };
  auto work = std::make_shared<Work>(Work{std::move(job), {}});
  workers_.run(
      replicas_.strands().current(), [work] { work->resolved = resolve(work->job); },
      [this, work] {
        const std::int32_t partitions = runtime_.partition_count();
        if (partitions == 0) return;
        runtime_.run(
            partition_for(work->job.group, partitions),
            [work](Shard& shard, const Now&) {
              return static_cast<GroupShard&>(shard).apply_regexes(work->job.group, work->resolved);
            },
            [](ErrorCode) {});  // another coordinator asks again
      });
}

void GroupCoordinator::consumer_group_heartbeat(
    CallContext call, protocol::ConsumerGroupHeartbeatRequest request, TopicFilter may_see,
    Reply<protocol::ConsumerGroupHeartbeatResponse> reply) {
  using Response = protocol::ConsumerGroupHeartbeatResponse;
  const auto refusal = [](ErrorCode error) {
    Response response;
    response.error_code = wire(error);
    return response;
  };
  const Result<void> valid = check_heartbeat(request, call.version, options_.consumer.assignors);
  if (!valid.ok()) {
    Response response = refusal(valid.error().code);
    response.error_message = valid.error().detail;
    return reply(std::move(response));
  }
  const std::string group_id = request.group_id;
  on_group<Response>(
      group_id, std::move(reply),
      [call = std::move(call), request = std::move(request), may_see = std::move(may_see)](
          GroupShard& shard, const Now& now, Reply<Response> answer) mutable {
        return shard.consumer_heartbeat(call, request, std::move(may_see), now, std::move(answer));
      },
      refusal);
}

void GroupCoordinator::consumer_group_describe(
    CallContext, protocol::ConsumerGroupDescribeRequest request,
    Reply<protocol::ConsumerGroupDescribeResponse> reply) {
  using Described = protocol::ConsumerGroupDescribeResponse::DescribedGroup;
  auto done = [reply = std::move(reply)](std::vector<Described> groups) mutable {
    protocol::ConsumerGroupDescribeResponse response;
    response.groups = std::move(groups);
    reply(std::move(response));
  };
  if (request.group_ids.empty()) return done({});
  const auto gather =
      std::make_shared<InOrder<Described>>(request.group_ids.size(), std::move(done));
  for (std::size_t i = 0; i < request.group_ids.size(); ++i) {
    const std::string& group_id = request.group_ids[i];
    on_group<Described>(
        group_id, gather->slot(i),
        [group_id](GroupShard& shard, const Now&, Reply<Described> answer) {
          return shard.describe_consumer(group_id, std::move(answer));
        },
        [group_id](ErrorCode error) {
          return Described{.error_code = wire(error), .group_id = group_id};
        });
  }
}

void GroupCoordinator::offset_commit(CallContext call, protocol::OffsetCommitRequest request,
                                     Reply<protocol::OffsetCommitResponse> reply) {
  const auto asked = std::make_shared<const protocol::OffsetCommitRequest>(std::move(request));
  on_group<protocol::OffsetCommitResponse>(
      asked->group_id, std::move(reply),
      [call = std::move(call), asked](GroupShard& shard, const Now& now,
                                      Reply<protocol::OffsetCommitResponse> answer) {
        return shard.commit_offsets(call, *asked, now, std::move(answer));
      },
      [asked](ErrorCode error) {
        protocol::OffsetCommitResponse response;
        for (const auto& topic : asked->topics) {
          auto& answer = response.topics.emplace_back();
          answer.name = topic.name;
          answer.topic_id = topic.topic_id;
          for (const auto& partition : topic.partitions)
            answer.partitions.push_back(
                {.partition_index = partition.partition_index, .error_code = wire(error)});
        }
        return response;
      });
}

void GroupCoordinator::offset_fetch(CallContext call, protocol::OffsetFetchRequest request,
                                    Reply<protocol::OffsetFetchResponse> reply) {
  const bool stable = request.require_stable;
  const std::int16_t version = call.version;
  const auto groups =
      std::make_shared<const std::vector<protocol::OffsetFetchRequest::OffsetFetchRequestGroup>>(
          asked_groups(call, std::move(request)));
  auto done = [version, groups,
               reply = std::move(reply)](std::vector<OffsetGroup> answers) mutable {
    if (version < 8) {
      const std::int16_t error = answers[0].error_code;
      if (version < 2 && error != 0) answers[0] = error_per_partition((*groups)[0], error);
      return reply(single_group(std::move(answers[0])));
    }
    protocol::OffsetFetchResponse response;
    response.groups = std::move(answers);
    reply(std::move(response));
  };
  if (groups->empty()) return done({});
  const auto gather = std::make_shared<InOrder<OffsetGroup>>(groups->size(), std::move(done));
  for (std::size_t i = 0; i < groups->size(); ++i) {
    on_group<OffsetGroup>(
        (*groups)[i].group_id, gather->slot(i),
        [groups, i, stable](GroupShard& shard, const Now&, Reply<OffsetGroup> answer) {
          return shard.fetch_offsets((*groups)[i], stable, std::move(answer));
        },
        [groups, i](ErrorCode error) {
          OffsetGroup group;
          group.group_id = (*groups)[i].group_id;
          group.error_code = wire(
              error == ErrorCode::kCoordinatorNotAvailable ? ErrorCode::kNotCoordinator : error);
          return group;
        });
  }
}

void GroupCoordinator::offset_delete(CallContext, protocol::OffsetDeleteRequest request,
                                     Reply<protocol::OffsetDeleteResponse> reply) {
  const std::string group_id = request.group_id;
  on_group<protocol::OffsetDeleteResponse>(
      group_id, std::move(reply),
      [request = std::move(request)](GroupShard& shard, const Now&,
                                     Reply<protocol::OffsetDeleteResponse> answer) {
        return shard.delete_offsets(request, std::move(answer));
      },
      [](ErrorCode error) {
        protocol::OffsetDeleteResponse response;
        response.error_code = wire(error);
        return response;
      });
}

void GroupCoordinator::list_groups(CallContext, protocol::ListGroupsRequest request,
                                   Reply<protocol::ListGroupsResponse> reply) {
  // Shards answer once what they saw is committed, which may be before or after all were visited.
  struct Listing {
    protocol::ListGroupsResponse response;
    std::optional<std::size_t> expected;
    std::size_t answered = 0;
    Reply<protocol::ListGroupsResponse> reply;

    void finish_if_complete() {
      // Moved out: a shard's strand may drop the last reference to this.
      if (expected && answered == *expected) std::exchange(reply, nullptr)(std::move(response));
    }
  };
  const auto listing = std::make_shared<Listing>();
  listing->reply = std::move(reply);
  io::Strand& origin = replicas_.strands().current();
  runtime_.run_on_all(
      [listing, &origin, states = lower_case(request.states_filter),
       types = lower_case(request.types_filter)](Shard& shard, const Now&) {
        return static_cast<const GroupShard&>(shard).list(
            states, types, [listing, &origin](GroupShard::ListedGroups groups) {
              origin.post([listing, groups = std::move(groups)]() mutable {
                ++listing->answered;
                auto& all = listing->response.groups;
                std::move(groups.begin(), groups.end(), std::back_inserter(all));
                listing->finish_if_complete();
              });
            });
      },
      [listing, &origin](CoordinatorRuntime::Visit visit) {
        origin.post([listing, visit] {
          if (visit.loading)
            listing->response.error_code = wire(ErrorCode::kCoordinatorLoadInProgress);
          listing->expected = visit.shards;
          listing->finish_if_complete();
        });
      });
}

void GroupCoordinator::describe_groups(CallContext call, protocol::DescribeGroupsRequest request,
                                       Reply<protocol::DescribeGroupsResponse> reply) {
  using Group = protocol::DescribeGroupsResponse::DescribedGroup;
  auto done = [reply = std::move(reply)](std::vector<Group> groups) mutable {
    protocol::DescribeGroupsResponse response;
    response.groups = std::move(groups);
    reply(std::move(response));
  };
  if (request.groups.empty()) return done({});
  const auto gather = std::make_shared<InOrder<Group>>(request.groups.size(), std::move(done));
  for (std::size_t i = 0; i < request.groups.size(); ++i) {
    const std::string& group_id = request.groups[i];
    on_group<Group>(
        group_id, gather->slot(i),
        [call, group_id](GroupShard& shard, const Now&, Reply<Group> answer) {
          return shard.describe(call, group_id, std::move(answer));
        },
        [group_id](ErrorCode error) {
          Group group;
          group.group_id = group_id;
          group.error_code = wire(error);
          return group;
        });
  }
}

void GroupCoordinator::delete_groups(CallContext, protocol::DeleteGroupsRequest request,
                                     Reply<protocol::DeleteGroupsResponse> reply) {
  using Deleted = protocol::DeleteGroupsResponse::DeletableGroupResult;
  auto done = [reply = std::move(reply)](std::vector<Deleted> results) mutable {
    protocol::DeleteGroupsResponse response;
    response.results = std::move(results);
    reply(std::move(response));
  };
  if (request.groups_names.empty()) return done({});
  const auto gather =
      std::make_shared<InOrder<Deleted>>(request.groups_names.size(), std::move(done));
  for (std::size_t i = 0; i < request.groups_names.size(); ++i) {
    const std::string& group_id = request.groups_names[i];
    on_group<Deleted>(
        group_id, gather->slot(i),
        [group_id](GroupShard& shard, const Now&, Reply<Deleted> answer) {
          return shard.delete_group(group_id, std::move(answer));
        },
        [group_id](ErrorCode error) {
          return Deleted{.group_id = group_id, .error_code = wire(error)};
        });
  }
}

void GroupCoordinator::collect(Reply<GroupMetrics> reply) {
  struct Sum {
    GroupMetrics metrics;
    Reply<GroupMetrics> reply;
  };
  // Shards' parts are posted before the strand's visit is reported, so they arrive before it.
  const auto sum = std::make_shared<Sum>();
  sum->reply = std::move(reply);
  io::Strand& origin = replicas_.strands().current();
  runtime_.run_on_all(
      [sum, &origin](Shard& shard, const Now&) {
        replication::run_on(origin, [sum, part = static_cast<const GroupShard&>(shard).metrics()] {
          sum->metrics += part;
        });
        return Output();
      },
      [sum](CoordinatorRuntime::Visit) {
        std::exchange(sum->reply, nullptr)(std::move(sum->metrics));
      });
}

}  // namespace broker::coordinator::group
