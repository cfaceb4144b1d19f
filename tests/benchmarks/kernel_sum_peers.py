"""Gaussian kernel sums of scikit-learn (KDTree) and mlpack (kd-tree, single tree; with and without Monte Carlo) on what
kernel_sum_benchmark has exported, as lines of its table:

  python3 kernel_sum_peers.py kernel_sums.tsv EXPORT >> kernel_sums.tsv

Needs numpy and scikit-learn (Debian: python3-sklearn) or mlpack (pip install mlpack); says so and does nothing where
neither is installed. One thread, CPU time of the queries alone, 100 queries, relative tolerance 0.1; at most MOST rows,
since more would take hours.
"""
import csv
import os
import sys
import time

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
TOLERANCE = 0.1
QUERIES = 100
MOST = 65000


def main():
    try:
        import numpy as np
    except ImportError:
        return print("numpy is not installed: nothing done", file=sys.stderr)
    try:
        from sklearn.neighbors import KDTree
    except ImportError:
        KDTree = None
    try:
        import mlpack
    except ImportError:
        mlpack = None
    if KDTree is None and mlpack is None:
        return print("neither scikit-learn nor mlpack is installed: nothing done", file=sys.stderr)

    def measure(line, method, exact, run):
        start = time.process_time()
        sums = run()
        micros = (time.process_time() - start) / len(exact) * 1e6
        error = sums / exact - 1
        print("\t".join(["sums", line["data"], line["density"], line["bandwidth"], line["rows"], method, str(TOLERANCE),
                         "%.2f" % micros, "%.5f" % np.sqrt((error**2).mean()), "%.5f" % error.mean(), "0", "0"]),
              flush=True)

    with open(sys.argv[1], newline="") as table:
        lines = [line for line in csv.DictReader(table, delimiter="\t")
                 if line["table"] == "sums" and line["method"] == "exact" and int(line["rows"]) <= MOST]
    for name in dict.fromkeys((line["data"], line["rows"]) for line in lines):
        rows = np.load("%s/%s_%s_rows.npy" % (sys.argv[2], *name)).astype(np.float64)
        queries = np.load("%s/%s_queries.npy" % (sys.argv[2], name[0])).astype(np.float64)[:QUERIES]
        squares = np.maximum((queries**2).sum(1)[:, None] + (rows**2).sum(1) - 2 * queries @ rows.T, 0)
        for line in lines:
            if (line["data"], line["rows"]) != name:
                continue
            h = float(line["bandwidth"])
            exact = np.exp(-squares / (2 * h * h)).sum(1)
            # kernel_density() divides by the constant that makes the kernel integrate to 1: logarithms keep its range.
            constant = rows.shape[1] * np.log(h * np.sqrt(2 * np.pi))
            if KDTree:
                tree = KDTree(rows, leaf_size=40)
                measure(line, "scikit-learn KDTree", exact, lambda: np.exp(
                    tree.kernel_density(queries, h, kernel="gaussian", rtol=TOLERANCE, return_log=True) + constant))
            if mlpack:
                options = {"bandwidth": h, "kernel": "gaussian", "algorithm": "single-tree", "rel_error": TOLERANCE}
                reference = rows.copy()  # which it reorders and goes on using
                model = mlpack.kde(reference=reference, query=queries[:1].copy(), tree="kd-tree",
                                   **options)["output_model"]
                for monte_carlo in (False, True):
                    measure(line, "mlpack kd-tree" + (", Monte Carlo" if monte_carlo else ""), exact, lambda: np.exp(
                        constant) * len(rows) * mlpack.kde(input_model=model, query=queries.copy(), mc_probability=0.95,
                                                           monte_carlo=monte_carlo, **options)["predictions"])


main()
