#include "dpkde/noise/knorm_blocks.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

namespace dpkde {
namespace {

// Variance at epsilon = 1 and radius 1 of each of the coordinates of m disks, and of an interval that joins them.
double DiskVariance(double m) { return (m + 0.5) * (m + 1); }
double JointDiskVariance(double m) { return (m + 1) * (2 * m + 3) / 2; }
double JointCountVariance(double m) { return (2 * m + 2) * (2 * m + 3) / 3; }

// Cuts at which runs may begin: all of the first few, then 10 % apart.
std::vector<size_t> Cuts(size_t count) {
  std::vector<size_t> cuts = {0};
  while (cuts.back() < count) {
    cuts.push_back(std::min(count, std::max(cuts.back() + 1, static_cast<size_t>(cuts.back() * 1.1))));
  }
  return cuts;
}

class BlockPlanner {
 public:
  BlockPlanner(const std::vector<CoordinateGroup>& groups, Neighboring neighboring)
      : groups_(groups), neighboring_(neighboring) {
    for (size_t g = 0; g < groups.size(); ++g) {
      if (Of(g).l1 == 0) continue;
      if (groups[g].shape == GroupShape::kResidual) continue;
      if (groups[g].shape == GroupShape::kBall && groups[g].ball != 0) {
        balls_[groups[g].ball].groups.push_back(g);
        continue;
      }
      (groups[g].shape == GroupShape::kDisk ? disks_ : others_).push_back(g);
    }
    for (auto& [id, ball] : balls_) PlanBall(ball);
    std::stable_sort(disks_.begin(), disks_.end(),
                     [&](size_t a, size_t b) { return groups_[a].mean_square_weight > groups_[b].mean_square_weight; });
    weight_from_ = WeightFrom(disks_);
    // Weights of zero would get nothing.
    floor_ = 1e-18 * std::max(weight_from_[0], 1e-280);
    radius_square_ = disks_.empty() ? 0 : std::pow(static_cast<double>(Of(disks_[0]).l2), 2);
  }

  KNormBlocks Plan() {
    PlanRuns();
    const bool count_is_last = !others_.empty() && others_.back() + 1 == groups_.size();
    if (count_is_last && !disks_.empty()) JoinCount();

    KNormBlocks blocks;
    blocks.block_of.assign(groups_.size(), 0);
    std::vector<double> demand, least;
    for (size_t j = 0; j + 1 < runs_.size(); ++j) {
      const bool joint = joint_ && j == 0;
      demand.push_back(joint ? JointDemand(runs_[1]) : Demand(runs_[j], runs_[j + 1]));
      least.push_back(0);
      for (size_t k = runs_[j]; k < runs_[j + 1]; ++k) blocks.block_of[disks_[k]] = demand.size();
      if (joint) blocks.block_of[others_.back()] = demand.size();
    }
    for (size_t g : others_) {
      if (joint_ && g == others_.back()) continue;
      demand.push_back(OtherDemand(g));
      least.push_back(groups_[g].least_share);
      blocks.block_of[g] = demand.size();
    }
    for (const auto& [id, ball] : balls_) {
      demand.push_back(BallDemand(ball));
      least.push_back(0);
    }
    blocks.shares = SharesWithLeast(demand, least);
    std::vector<double> ball_shares(blocks.shares.end() - balls_.size(), blocks.shares.end());
    blocks.shares.resize(blocks.shares.size() - balls_.size());
    size_t index = 0;
    for (const auto& [id, ball] : balls_) AddBall(id, ball, ball_shares[index++], blocks);
    return blocks;
  }

 private:
  struct Ball {
    std::vector<size_t> groups;  // by falling weight a coordinate
    std::vector<size_t> ends;    // of the runs
    std::vector<double> costs;   // sqrt(C (m + 1)) of the runs
    double cost = 0;             // their sum
  };

  // Sums of the weights from each member to the last: from the smallest up, so that none is lost in rounding.
  std::vector<double> WeightFrom(const std::vector<size_t>& members) const {
    std::vector<double> sums(members.size() + 1, 0);
    for (size_t i = members.size(); i-- > 0;) sums[i] = sums[i + 1] + groups_[members[i]].mean_square_weight;
    return sums;
  }

  // Cuts the groups of a ball into runs of least total cost.
  void PlanBall(Ball& ball) const {
    std::vector<size_t>& members = ball.groups;
    const auto weight = [&](size_t g) { return groups_[g].mean_square_weight / groups_[g].count; };
    std::stable_sort(members.begin(), members.end(), [&](size_t a, size_t b) { return weight(a) > weight(b); });
    const std::vector<double> weight_from = WeightFrom(members);
    std::vector<double> sizes = {0};
    for (size_t g : members) sizes.push_back(sizes.back() + groups_[g].count);
    const double floor = 1e-18 * std::max(weight_from[0], 1e-280);
    const auto cost = [&](size_t begin, size_t end) {
      return std::sqrt((weight_from[begin] - weight_from[end] + floor) * (sizes[end] - sizes[begin] + 1));
    };
    const std::vector<size_t> cuts = Cuts(members.size());
    std::vector<double> best(cuts.size(), 0);
    std::vector<size_t> next(cuts.size(), 0);
    BestRuns(cuts, cost, best, next);
    for (size_t i = 0; cuts[i] < members.size(); i = next[i]) {
      ball.ends.push_back(cuts[next[i]]);
      ball.costs.push_back(cost(cuts[i], cuts[next[i]]));
      ball.cost += ball.costs.back();
    }
  }

  double BallDemand(const Ball& ball) const {
    return std::cbrt(std::pow(static_cast<double>(Of(ball.groups[0]).l2) * ball.cost, 2));
  }

  void AddBall(uint32_t id, const Ball& ball, double share, KNormBlocks& blocks) const {
    size_t begin = 0;
    for (size_t run = 0; run < ball.ends.size(); ++run) {
      blocks.shares.push_back(share * std::sqrt(ball.costs[run] / ball.cost));
      for (; begin < ball.ends[run]; ++begin) blocks.block_of[ball.groups[begin]] = blocks.shares.size();
    }
    for (size_t g = 0; g < groups_.size(); ++g) {
      if (groups_[g].shape != GroupShape::kResidual || groups_[g].ball != id || Of(g).l1 == 0) continue;
      // Free up to this, see Mechanism.
      blocks.shares.push_back(share * Of(g).l1 / (2.0 * Of(ball.groups[0]).l2));
      blocks.block_of[g] = blocks.shares.size();
    }
  }

  // best[i]: least cost of what begins at cut i; next[i]: where the first run of that ends.
  template <typename Cost>
  static void BestRuns(const std::vector<size_t>& cuts, const Cost& cost, std::vector<double>& best,
                       std::vector<size_t>& next) {
    for (size_t i = cuts.size() - 1; i-- > 0;) {
      best[i] = std::numeric_limits<double>::infinity();
      for (size_t j = i + 1; j < cuts.size(); ++j) {
        const double total = cost(cuts[i], cuts[j]) + best[j];
        if (total < best[i]) {
          best[i] = total;
          next[i] = j;
        }
      }
    }
  }

  const Sensitivity& Of(size_t g) const {
    return neighboring_ == Neighboring::kAddRemove ? groups_[g].add_remove : groups_[g].replace;
  }

  // A^(1/3) of sorted disks [begin, end).
  double Demand(size_t begin, size_t end) const {
    return std::cbrt((weight_from_[begin] - weight_from_[end] + floor_) * DiskVariance(end - begin) * radius_square_);
  }

  double OtherDemand(size_t g) const {
    const double weight = groups_[g].mean_square_weight + floor_;
    const double l1 = Of(g).l1, l2 = Of(g).l2;
    return std::cbrt(weight * (groups_[g].shape == GroupShape::kBall ? (groups_[g].count + 1) * l2 * l2 : 2 * l1 * l1));
  }

  // The first `end` disks and the count.
  double JointDemand(size_t end) const {
    const size_t count = others_.back();
    const double bound = Of(count).l1;
    return std::cbrt((weight_from_[0] - weight_from_[end] + floor_) * JointDiskVariance(end) * radius_square_ +
                     groups_[count].mean_square_weight * JointCountVariance(end) * bound * bound);
  }

  void PlanRuns() {
    cuts_ = Cuts(disks_.size());
    best_.assign(cuts_.size(), 0);
    next_.assign(cuts_.size(), 0);
    BestRuns(
        cuts_, [&](size_t begin, size_t end) { return Demand(begin, end); }, best_, next_);
    FollowFrom(0);
  }

  // runs_ = 0, then the ends of the runs from cut i on.
  void FollowFrom(size_t i) {
    runs_ = {0};
    if (i > 0) runs_.push_back(cuts_[i]);
    while (cuts_[i] < disks_.size()) {
      i = next_[i];
      runs_.push_back(cuts_[i]);
    }
  }

  void JoinCount() {
    const size_t count = others_.back();
    double rest = 0;
    for (size_t g : others_) rest += g == count ? 0 : OtherDemand(g);
    for (const auto& [id, ball] : balls_) rest += BallDemand(ball);
    double least = rest + best_[0] + OtherDemand(count);
    const double share = groups_[count].least_share;
    for (size_t i = 1; i < cuts_.size(); ++i) {
      const double demand = JointDemand(cuts_[i]) + best_[i] + rest;
      // Variance of the count: 2 / share^2 on its own, and within the block, at epsilon = 1.
      const double block_share = JointDemand(cuts_[i]) / demand;
      if (share > 0 && JointCountVariance(cuts_[i]) / (block_share * block_share) > 2 / (share * share)) continue;
      if (demand < least) {
        least = demand;
        joint_ = true;
        FollowFrom(i);
      }
    }
  }

  const std::vector<CoordinateGroup>& groups_;
  const Neighboring neighboring_;
  std::vector<size_t> disks_;   // by falling weight
  std::vector<size_t> others_;  // in order
  std::map<uint32_t, Ball> balls_;
  std::vector<double> weight_from_;
  double floor_ = 0;
  double radius_square_ = 0;
  std::vector<size_t> cuts_;
  std::vector<double> best_;
  std::vector<size_t> next_;
  std::vector<size_t> runs_ = {0};
  bool joint_ = false;
};

}  // namespace

KNormBlocks PlanKNormBlocks(const std::vector<CoordinateGroup>& groups, Neighboring neighboring) {
  return BlockPlanner(groups, neighboring).Plan();
}

std::vector<double> SharesWithLeast(std::vector<double> demand, const std::vector<double>& least) {
  const double total = std::accumulate(demand.begin(), demand.end(), 0.0);
  if (!(total > 0)) return demand;
  for (double& value : demand) value /= total;
  // Raising one lowers the rest, which may push another below its least share: repeat until none is.
  std::vector<bool> raised(demand.size(), false);
  while (true) {
    double fixed = 0, free = 0;
    bool changed = false;
    for (size_t g = 0; g < demand.size(); ++g) {
      if (!raised[g] && demand[g] < least[g]) raised[g] = changed = true;
      (raised[g] ? fixed : free) += raised[g] ? least[g] : demand[g];
    }
    if (!changed) return demand;
    for (size_t g = 0; g < demand.size(); ++g) demand[g] = raised[g] ? least[g] : demand[g] * (1 - fixed) / free;
  }
}

}  // namespace dpkde
