#include "broker/coordinator/group/group_coordinator.h"

#include <algorithm>
#include <utility>

#include "broker/common/topic_name.h"
#include "broker/coordinator/group/check_heartbeat.h"

namespace broker::coordinator::group {

namespace {

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
      runtime_(runtime_options, replicas,
               [this, seed](std::int32_t) {
                 // Member ids are never drawn twice, whichever shard draws them: also not by the
                 // one that takes over again what this broker coordinated before.
                 return std::make_unique<GroupShard>(
                     options_, ports(), seed + shards_made_.fetch_add(1) * 0x632be59bd9b4e019ULL);
               }),
      calls_(runtime_, replicas.strands()) {}

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
  if (!image.topics.find(kGroupOffsetsTopic)) create_topic_();
  return coordinator_of(kGroupOffsetsTopic, group_id, image);
}

void GroupCoordinator::join_group(CallContext call, protocol::JoinGroupRequest request,
                                  JoinReply reply) {
  const std::string group_id = request.group_id;
  const std::string member_id = request.member_id;
  calls_.ask<protocol::JoinGroupResponse>(
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
  calls_.ask<protocol::SyncGroupResponse>(
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
  calls_.ask<protocol::HeartbeatResponse>(
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
  calls_.ask<protocol::LeaveGroupResponse>(
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
  calls_.ask<Response>(
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
    calls_.ask<Described>(
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
  calls_.ask<protocol::OffsetCommitResponse>(
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

void GroupCoordinator::offset_fetch(CallContext, protocol::OffsetFetchRequest request,
                                    Reply<protocol::OffsetFetchResponse> reply) {
  auto done = [reply = std::move(reply)](std::vector<OffsetGroup> answers) mutable {
    protocol::OffsetFetchResponse response;
    response.groups = std::move(answers);
    reply(std::move(response));
  };
  const auto asked = std::make_shared<const protocol::OffsetFetchRequest>(std::move(request));
  if (asked->groups.empty()) return done({});
  const auto gather = std::make_shared<InOrder<OffsetGroup>>(asked->groups.size(), std::move(done));
  for (std::size_t i = 0; i < asked->groups.size(); ++i) {
    calls_.ask<OffsetGroup>(
        asked->groups[i].group_id, gather->slot(i),
        [asked, i](GroupShard& shard, const Now&, Reply<OffsetGroup> answer) {
          return shard.fetch_offsets(asked->groups[i], asked->require_stable, std::move(answer));
        },
        [asked, i](ErrorCode error) {
          OffsetGroup group;
          group.group_id = asked->groups[i].group_id;
          group.error_code = wire(
              error == ErrorCode::kCoordinatorNotAvailable ? ErrorCode::kNotCoordinator : error);
          return group;
        });
  }
}

void GroupCoordinator::offset_delete(CallContext, protocol::OffsetDeleteRequest request,
                                     Reply<protocol::OffsetDeleteResponse> reply) {
  const std::string group_id = request.group_id;
  calls_.ask<protocol::OffsetDeleteResponse>(
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
  using Listed = GroupShard::ListedGroups;
  calls_.ask_all<Listed>(
      [states = lower_case(request.states_filter), types = lower_case(request.types_filter)](
          const GroupShard& shard, const Now&, Reply<Listed> answer) {
        return shard.list(states, types, std::move(answer));
      },
      [reply = std::move(reply)](Listed groups, bool loading) mutable {
        protocol::ListGroupsResponse response;
        if (loading) response.error_code = wire(ErrorCode::kCoordinatorLoadInProgress);
        response.groups = std::move(groups);
        reply(std::move(response));
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
    calls_.ask<Group>(
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
    calls_.ask<Deleted>(
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
