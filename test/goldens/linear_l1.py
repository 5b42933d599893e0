"""Makes linear-l1.json: weights of scikit-learn (1.2.1 of Debian 12) that test/ml/sparse-linear.test.ts compares ours with.

Run once by hand: /usr/bin/python3 test/goldens/linear_l1.py > test/goldens/linear-l1.json
"""
import json

import numpy as np
from sklearn.linear_model import ElasticNet, Lasso, LogisticRegression, Ridge

rng = np.random.default_rng(6)
n, p = 150, 8
x = rng.normal(size=(n, p)) @ (np.eye(p) + 0.4 * rng.normal(size=(p, p)))
x = ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float32)
margin = x @ np.array([1.0, -2.0, 0.5, 0, 0, 0, 0.2, 0]) + 0.3
numbers = margin + rng.normal(size=n)
binary = (margin + rng.logistic(size=n) > 0).astype(int)
multi = np.digitize(margin + rng.logistic(size=n), [-1, 1])
weights = rng.integers(1, 4, size=n).astype(float)
targets = {"numbers": numbers, "binary": binary, "multi": multi}


def case(target, l1, l2, model, weighted=False):
    model.fit(x.astype(np.float64), targets[target], sample_weight=weights if weighted else None)
    return {
        "target": target,
        "l1": l1,
        "l2": l2,
        "weighted": weighted,
        "weights": np.ravel(model.coef_).tolist(),
        "intercept": np.ravel(model.intercept_).tolist(),
    }


def net(l1, l2, weighted=False):
    # with sample_weight scikit-learn scales the weights to sum n
    scale = weights.sum() if weighted else n
    alpha = (l1 + l2) / scale
    model = Lasso(alpha=alpha, tol=1e-10, max_iter=100000) if l2 == 0 else None
    model = model or ElasticNet(alpha=alpha, l1_ratio=l1 / (l1 + l2), tol=1e-10, max_iter=100000)
    return case("numbers", l1, l2, model, weighted)


def liblinear(l1, weighted=False):
    # intercept_scaling: liblinear penalises the intercept; so large a scale makes next to nothing of it
    model = LogisticRegression(penalty="l1", C=1 / l1, solver="liblinear", tol=1e-8, max_iter=5000, intercept_scaling=1e4)
    return case("binary", l1, 0, model, weighted)


def saga(target, l1, l2, weighted=False):
    c = 1 / (l1 + l2)
    model = LogisticRegression(
        penalty="elasticnet", l1_ratio=l1 * c, C=c, solver="saga", tol=1e-7, max_iter=4000, multi_class="multinomial" if target == "multi" else "ovr"
    )
    return case(target, l1, l2, model, weighted)


cases = [
    net(30, 0),
    net(5, 0),
    net(20, 10),
    net(10, 5, True),
    case("numbers", 0, 7, Ridge(alpha=7, solver="cholesky"), True),
    liblinear(5),
    saga("binary", 4, 0),
    saga("binary", 4, 3),
    saga("binary", 4, 3, True),
    saga("multi", 3, 0),
    saga("multi", 3, 2),
    saga("multi", 3, 2, True),
    case("binary", 0, 2, LogisticRegression(C=0.5, tol=1e-8, max_iter=10000, solver="newton-cg"), True),
    case("multi", 0, 2, LogisticRegression(C=0.5, tol=1e-8, max_iter=10000, solver="newton-cg", multi_class="multinomial"), True),
]
print(
    json.dumps(
        {
            "x": x.T.tolist(),
            "targets": {name: target.tolist() for name, target in targets.items()},
            "weights": weights.tolist(),
            "cases": cases,
        }
    )
)
