#include "dpkde/designs/spline_function.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <utility>

namespace dpkde {
namespace {

constexpr size_t kLargestDimension = 4;

// The fit of one axis, without the ends that are too small to matter.
struct TrimmedFit {
  size_t first = 0;
  std::vector<double> psi;
};

TrimmedFit Trim(const std::vector<double>& psi) {
  double largest = 0;
  for (double value : psi) largest = std::max(largest, std::abs(value));
  // Dropping them is part of the definition of psi; its effect on the error is below 1e-9.
  const auto matters = [&](double value) { return std::abs(value) > 1e-11 * largest; };
  const auto first = std::find_if(psi.begin(), psi.end(), matters);
  const auto last = std::find_if(psi.rbegin(), psi.rend(), matters).base();
  TrimmedFit fit;
  if (first == psi.end()) return fit;
  fit.first = first - psi.begin();
  fit.psi.assign(first, last);
  return fit;
}

double Dot(const TrimmedFit& a, const TrimmedFit& b) {
  const size_t begin = std::max(a.first, b.first), end = std::min(a.first + a.psi.size(), b.first + b.psi.size());
  double sum = 0;
  for (size_t j = begin; j < end; ++j) sum += a.psi[j - a.first] * b.psi[j - b.first];
  return sum;
}

// The fits of all terms at one place of one axis, and their products with one another.
struct AxisFits {
  std::vector<TrimmedFit> fits;
  std::vector<double> gram;  // terms x terms
};

// Whether a term varies so slowly against the cells that one node a cell says all.
bool IsWide(const SplineAxis& axis) {
  return axis.similarity().kind() == proto::SimilaritySpec::GAUSSIAN &&
         axis.similarity().bandwidth() >= 4 * axis.width() / axis.cells();
}

AxisFits FitAxis(const std::vector<SplineTerm>& terms, size_t axis, double y) {
  AxisFits result;
  std::vector<double> psi(terms[0].axes[axis].functions());
  for (const SplineTerm& term : terms) {
    term.axes[axis].Fit(y, psi.data());
    result.fits.push_back(Trim(psi));
  }
  const size_t count = terms.size();
  result.gram.resize(count * count);
  for (size_t m = 0; m < count; ++m) {
    for (size_t l = 0; l <= m; ++l) {
      result.gram[m * count + l] = result.gram[l * count + m] = Dot(result.fits[m], result.fits[l]);
    }
  }
  return result;
}

// A function on the domain by its values at a grid of nodes, last axis fastest, none of them outside: there fits of
// kernels with a cusp behave otherwise.
class Table {
 public:
  Table(absl::Span<const SplineAxis> axes, size_t nodes_per_cell) {
    for (const SplineAxis& axis : axes) {
      // Four at least, for a cubic.
      const size_t steps = std::max<size_t>(3, axis.cells() * nodes_per_cell);
      counts_.push_back(steps + 1);
      inverse_steps_.push_back(steps / axis.width());
    }
    strides_.resize(counts_.size());
    size_t stride = 1;
    for (size_t i = counts_.size(); i-- > 0; stride *= counts_[i]) strides_[i] = stride;
    size_ = stride;
  }

  size_t count(size_t axis) const { return counts_[axis]; }
  double Place(size_t axis, size_t node) const { return node / inverse_steps_[axis]; }
  size_t size() const { return size_; }
  std::vector<double>& values() { return values_; }
  bool empty() const { return values_.empty(); }

  // Lagrange's cubics at `place` of the nodes first, first + 1, ..
  std::array<double, 4> Basis(size_t axis, double place, size_t& first) const {
    const double t = place * inverse_steps_[axis];
    first = std::min(static_cast<size_t>(std::max(t - 1, 0.0)), counts_[axis] - 4);
    // In [0, 1] but for the first and the last of the nodes.
    const double u = t - first - 1;
    return {-u * (u - 1) * (u - 2) / 6, (u + 1) * (u - 1) * (u - 2) / 2, -(u + 1) * u * (u - 2) / 2,
            (u + 1) * u * (u - 1) / 6};
  }

  // `place` is relative to the lower ends of the axes.
  double Interpolate(const double* place) const {
    std::array<std::array<double, 4>, kLargestDimension> basis = {};
    size_t first = 0;
    for (size_t i = 0; i < counts_.size(); ++i) {
      size_t node;
      basis[i] = Basis(i, place[i], node);
      first += node * strides_[i];
    }
    const double* nodes = &values_[first];
    switch (counts_.size()) {
      case 1:
        return Sum<1>(basis.data(), strides_.data(), nodes);
      case 2:
        return Sum<2>(basis.data(), strides_.data(), nodes);
      case 3:
        return Sum<3>(basis.data(), strides_.data(), nodes);
      default:
        return Sum<4>(basis.data(), strides_.data(), nodes);
    }
  }

 private:
  template <size_t kAxes>
  static double Sum(const std::array<double, 4>* basis, const size_t* strides, const double* nodes) {
    double sum = 0;
    for (size_t s = 0; s < 4; ++s) {
      if constexpr (kAxes == 1) {
        sum += (*basis)[s] * nodes[s];
      } else {
        sum += (*basis)[s] * Sum<kAxes - 1>(basis + 1, strides + 1, nodes + s * strides[0]);
      }
    }
    return sum;
  }

  std::vector<size_t> counts_;
  std::vector<size_t> strides_;
  std::vector<double> inverse_steps_;
  size_t size_ = 0;
  std::vector<double> values_;  // empty until it is filled
};

// FitAxis at many places of one axis: wide terms are fitted at a node a cell and interpolated, and so are their
// products.
class AxisFitter {
 public:
  AxisFitter(const std::vector<SplineTerm>& terms, size_t axis)
      : terms_(terms), axis_(axis), table_(absl::MakeConstSpan(&terms[0].axes[axis], 1), 1) {
    for (size_t m = 0; m < terms.size(); ++m) {
      if (IsWide(terms[m].axes[axis])) wide_.push_back(m);
    }
    const size_t functions = terms[0].axes[axis].functions();
    for (size_t j = 0; j < table_.count(0) && !wide_.empty(); ++j) {
      std::vector<double> fits(wide_.size() * functions), gram;
      for (size_t k = 0; k < wide_.size(); ++k) {
        terms[wide_[k]].axes[axis].Fit(table_.Place(0, j), &fits[k * functions]);
        for (size_t l = 0; l <= k; ++l) {
          gram.push_back(
              std::inner_product(&fits[k * functions], &fits[k * functions] + functions, &fits[l * functions], 0.0));
        }
      }
      fits_.push_back(std::move(fits));
      grams_.push_back(std::move(gram));
    }
  }

  AxisFits At(double y) const {
    const size_t count = terms_.size(), functions = terms_[0].axes[axis_].functions();
    size_t first = 0;
    const std::array<double, 4> basis = table_.Basis(0, y, first);
    AxisFits result;
    result.fits.resize(count);
    result.gram.resize(count * count);
    std::vector<double> psi(functions);
    std::vector<bool> is_wide(count, false);
    size_t pair = 0;
    for (size_t k = 0; k < wide_.size(); ++k) {
      std::fill(psi.begin(), psi.end(), 0.0);
      for (size_t s = 0; s < 4; ++s) {
        const double* node = &fits_[first + s][k * functions];
        for (size_t j = 0; j < functions; ++j) psi[j] += basis[s] * node[j];
      }
      result.fits[wide_[k]] = Trim(psi);
      is_wide[wide_[k]] = true;
      for (size_t l = 0; l <= k; ++l, ++pair) {
        double dot = 0;
        for (size_t s = 0; s < 4; ++s) dot += basis[s] * grams_[first + s][pair];
        result.gram[wide_[k] * count + wide_[l]] = result.gram[wide_[l] * count + wide_[k]] = dot;
      }
    }
    for (size_t m = 0; m < count; ++m) {
      if (is_wide[m]) continue;
      terms_[m].axes[axis_].Fit(y, psi.data());
      result.fits[m] = Trim(psi);
    }
    for (size_t m = 0; m < count; ++m) {
      for (size_t l = 0; l <= m; ++l) {
        if (is_wide[m] && is_wide[l]) continue;
        result.gram[m * count + l] = result.gram[l * count + m] = Dot(result.fits[m], result.fits[l]);
      }
    }
    return result;
  }

 private:
  const std::vector<SplineTerm>& terms_;
  size_t axis_;
  Table table_;  // for its nodes only
  std::vector<size_t> wide_;
  std::vector<std::vector<double>> fits_;   // of each node: wide terms x functions
  std::vector<std::vector<double>> grams_;  // of each node: products of the k-th and l-th wide terms, l <= k
};

}  // namespace

// What of the tables does not depend on the values.
class SplineTables {
 public:
  explicit SplineTables(const std::vector<SplineTerm>& terms)
      : terms_(terms), sums_(axes(), 1), wide_(axes(), 1), squares_(axes(), 1) {
    const size_t pairs = terms.size() * terms.size();
    for (size_t per_cell : {8, 6, 4}) {
      // Smooth products and mixtures need no more than 4.
      if (per_cell > 4 && terms[0].axes[0].similarity().kind() != proto::SimilaritySpec::LAPLACIAN) continue;
      sums_ = Table(axes(), per_cell);
      if (sums_.size() <= kMostTableNodes) {
        exists_ = true;
        break;
      }
    }
    if (!exists_) return;
    for (size_t per_cell : {8, 4, 2}) {
      squares_ = Table(axes(), per_cell);
      if (squares_.size() * pairs <= size_t{1} << 29 && squares_.size() <= kMostTableNodes) break;
    }
    std::vector<double> weights;
    for (const SplineTerm& term : terms_) {
      for (const SplineTerm& other : terms_) weights.push_back(term.weight * other.weight);
    }
    std::vector<std::vector<AxisFits>> square_fits(axes().size());
    fits_.resize(axes().size());
    for (size_t i = 0; i < axes().size(); ++i) {
      const AxisFitter fitter(terms_, i);
      for (size_t j = 0; j < squares_.count(i); ++j) square_fits[i].push_back(fitter.At(squares_.Place(i, j)));
      fits_[i].resize(terms_.size());
      for (size_t m = 0; m < terms_.size(); ++m) {
        const Table& table = IsWideTerm(m) ? wide_ : sums_;
        std::vector<double> psi(axes()[i].functions());
        for (size_t j = 0; j < table.count(i); ++j) {
          terms_[m].axes[i].Fit(table.Place(i, j), psi.data());
          fits_[i][m].push_back(Trim(psi));
        }
      }
    }
    AddSquares(square_fits, 0, weights);
  }

  bool exists() const { return exists_; }
  const Table& squares() const { return squares_; }

  // The answers at the nodes.
  Table Sums(const std::vector<double>& values) const {
    Table sums = sums_, wide = wide_;
    sums.values().assign(sums.size(), 0.0);
    bool any_wide = false;
    for (size_t m = 0; m < terms_.size(); ++m) {
      if (IsWideTerm(m) && !any_wide) wide.values().assign(wide.size(), 0.0);
      any_wide = any_wide || IsWideTerm(m);
      AddTerm(values, m, IsWideTerm(m) ? wide : sums);
    }
    if (any_wide) AddInterpolated(wide, sums);
    return sums;
  }

 private:
  const std::vector<SplineAxis>& axes() const { return terms_[0].axes; }

  bool IsWideTerm(size_t m) const {
    return terms_.size() > 1 && std::all_of(terms_[m].axes.begin(), terms_[m].axes.end(), IsWide);
  }

  // From the last axis to the first, values over the axis' functions become values over the table's nodes.
  void AddTerm(const std::vector<double>& values, size_t m, Table& table) const {
    std::vector<double> from = values, to;
    size_t outer = values.size(), inner = 1;
    for (size_t i = axes().size(); i-- > 0;) {
      const size_t functions = axes()[i].functions();
      const std::vector<TrimmedFit>& fits = fits_[i][m];
      outer /= functions;
      to.assign(outer * fits.size() * inner, 0.0);
      for (size_t o = 0; o < outer; ++o) {
        for (size_t j = 0; j < fits.size(); ++j) {
          double* out = &to[(o * fits.size() + j) * inner];
          const double* in = &from[(o * functions + fits[j].first) * inner];
          for (double coefficient : fits[j].psi) {
            for (size_t k = 0; k < inner; ++k) out[k] += coefficient * in[k];
            in += inner;
          }
        }
      }
      inner *= fits.size();
      from.swap(to);
    }
    for (size_t k = 0; k < table.size(); ++k) table.values()[k] += terms_[m].weight * from[k];
  }

  void AddInterpolated(const Table& table, Table& to) const {
    std::array<size_t, kLargestDimension> node = {};
    std::array<double, kLargestDimension> place = {};
    for (double& value : to.values()) {
      value += table.Interpolate(place.data());
      for (size_t i = axes().size(); i-- > 0;) {
        node[i] = node[i] + 1 == to.count(i) ? 0 : node[i] + 1;
        place[i] = to.Place(i, node[i]);
        if (node[i] != 0) break;
      }
    }
  }

  // `products` are of the weights and of the Gram matrices of the axes before i.
  void AddSquares(const std::vector<std::vector<AxisFits>>& fits, size_t i, const std::vector<double>& products) {
    std::vector<double> deeper(products.size());
    for (const AxisFits& place : fits[i]) {
      if (i + 1 == axes().size()) {
        squares_.values().push_back(std::inner_product(products.begin(), products.end(), place.gram.begin(), 0.0));
        continue;
      }
      for (size_t k = 0; k < products.size(); ++k) deeper[k] = products[k] * place.gram[k];
      AddSquares(fits, i + 1, deeper);
    }
  }

  const std::vector<SplineTerm>& terms_;
  bool exists_ = false;
  Table sums_, wide_;                                       // without values
  Table squares_;                                           // of ||psi(y)||^2
  std::vector<std::vector<std::vector<TrimmedFit>>> fits_;  // axis, term, node of sums_ or wide_
};

namespace {

class SplineFunction final : public ReleasedFunction {
 public:
  SplineFunction(const std::vector<SplineTerm>& terms, std::shared_ptr<const SplineTables> tables, const Domain& domain,
                 std::vector<double> values, double variance)
      : terms_(terms),
        tables_(std::move(tables)),
        domain_(domain),
        values_(std::move(values)),
        variance_(variance),
        sums_(axes(), 1) {
    if (tables_->exists()) sums_ = tables_->Sums(values_);
  }

  void Evaluate(MatrixView queries, absl::Span<Answer> answers) const override {
    const bool tabulated = !sums_.empty();
    std::array<double, kLargestDimension> place;
    for (size_t q = 0; q < queries.rows; ++q) {
      for (size_t i = 0; i < dimension(); ++i) {
        place[i] = static_cast<double>(queries.row(q)[i]) - domain_.lower()[i];
      }
      if (tabulated && domain_.BoxContains(queries.row(q))) {
        answers[q].sum = sums_.Interpolate(place.data());
        answers[q].noise_variance = variance_ * std::max(tables_->squares().Interpolate(place.data()), 0.0);
      } else {
        Fit(place.data(), answers[q]);
      }
    }
  }

 private:
  const std::vector<SplineAxis>& axes() const { return terms_[0].axes; }
  size_t dimension() const { return axes().size(); }

  void Fit(const double* place, Answer& answer) const {
    const size_t d = dimension();
    std::vector<AxisFits> fits;
    std::vector<double> products;
    for (const SplineTerm& term : terms_) {
      for (const SplineTerm& other : terms_) products.push_back(term.weight * other.weight);
    }
    for (size_t i = 0; i < d; ++i) {
      fits.push_back(FitAxis(terms_, i, place[i]));
      for (size_t k = 0; k < products.size(); ++k) products[k] *= fits[i].gram[k];
    }
    double square = 0;
    for (double product : products) square += product;
    answer.noise_variance = variance_ * square;
    std::array<const TrimmedFit*, kLargestDimension> term_fits = {};
    answer.sum = 0;
    for (size_t m = 0; m < terms_.size(); ++m) {
      for (size_t i = 0; i < d; ++i) term_fits[i] = &fits[i].fits[m];
      answer.sum += terms_[m].weight * (d == 1   ? Product<1>(term_fits.data(), 0, 0)
                                        : d == 2 ? Product<2>(term_fits.data(), 0, 0)
                                        : d == 3 ? Product<3>(term_fits.data(), 0, 0)
                                                 : Product<4>(term_fits.data(), 0, 0));
    }
  }

  // Sum over the axes from `i` on, kLeft of them, of the values, those before at `offset`, with their coefficients.
  template <size_t kLeft>
  double Product(const TrimmedFit* const* fits, size_t i, size_t offset) const {
    const TrimmedFit& fit = *fits[i];
    const size_t begin = offset * axes()[i].functions() + fit.first;
    double sum = 0;
    for (size_t j = 0; j < fit.psi.size(); ++j) {
      if constexpr (kLeft == 1) {
        sum += fit.psi[j] * values_[begin + j];
      } else {
        sum += fit.psi[j] * Product<kLeft - 1>(fits, i + 1, begin + j);
      }
    }
    return sum;
  }

  const std::vector<SplineTerm>& terms_;
  std::shared_ptr<const SplineTables> tables_;
  const Domain& domain_;
  std::vector<double> values_;
  double variance_;
  Table sums_;  // empty: queries are fitted
};

}  // namespace

std::shared_ptr<const SplineTables> MakeSplineTables(const std::vector<SplineTerm>& terms) {
  return std::make_shared<SplineTables>(terms);
}

std::unique_ptr<ReleasedFunction> MakeSplineFunction(const std::vector<SplineTerm>& terms,
                                                     std::shared_ptr<const SplineTables> tables, const Domain& domain,
                                                     std::vector<double> values, double variance) {
  return std::make_unique<SplineFunction>(terms, std::move(tables), domain, std::move(values), variance);
}

}  // namespace dpkde
