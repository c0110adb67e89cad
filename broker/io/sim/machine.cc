#include "broker/io/sim/machine.h"

namespace broker::io::sim {
namespace {

constexpr std::size_t kPoolThreads = 2;

}  // namespace

Process::Process(Scheduler& scheduler, std::shared_ptr<Life> life,
                 std::unique_ptr<FileSystem> files, std::unique_ptr<Transport> transport,
                 std::size_t cores)
    : life_(std::move(life)),
      files_(std::move(files)),
      transport_(std::move(transport)),
      workers_(std::make_unique<SimWorkers>(scheduler, life_, kPoolThreads)) {
  for (std::size_t i = 0; i < cores; ++i) {
    strands_.push_back(std::make_unique<SimStrand>(scheduler, life_));
  }
}

Process::~Process() {
  CHECK(!life_->alive);
  // While all of them are there: what a task holds may touch any.
  workers_->drop_tasks();
  for (const auto& strand : strands_) strand->drop_tasks();
}

std::vector<Strand*> Process::strands() {
  std::vector<Strand*> strands;
  for (const auto& strand : strands_) strands.push_back(strand.get());
  return strands;
}

Machine::Machine(Scheduler& scheduler, Network& network, std::string name)
    : scheduler_(scheduler),
      network_(network),
      name_(std::move(name)),
      id_(network.add_machine(name_)),
      disk_(scheduler, name_) {}

std::unique_ptr<Process> Machine::boot(std::size_t cores) {
  auto life = std::make_shared<Life>();
  life->name = name_ + "#" + std::to_string(++boots_);
  life->clock_skew = clock_skew_;
  network_.power_on(id_);
  return std::make_unique<Process>(scheduler_, life, disk_.mount(life), network_.attach(id_, life),
                                   cores);
}

void Machine::kill(Process& process) {
  if (!process.alive()) return;
  process.life_->alive = false;
  network_.on_process_death(id_);
}

void Machine::lose_power(Process* process) {
  if (process != nullptr) process->life_->alive = false;
  network_.power_off(id_);
  disk_.lose_power();
}

void Machine::freeze(Process& process, Duration time) {
  process.life_->frozen_until = std::max(process.life_->frozen_until, scheduler_.now() + time);
}

void Machine::thaw(Process& process) {
  process.life_->frozen_until = {};
  for (const auto& strand : process.strands_) strand->reschedule();
}

void Machine::set_clock_skew(WallMs skew, Process* process) {
  clock_skew_ = skew;
  if (process != nullptr) process->life_->clock_skew = skew;
}

}  // namespace broker::io::sim
