"""Makes linear.json: weights of scikit-learn (1.2.1 of Debian 12) that test/ml/linear.test.ts compares ours with.

Run once by hand: /usr/bin/python3 test/goldens/linear.py > test/goldens/linear.json
"""
import json

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge

rng = np.random.default_rng(5)
x = rng.normal(size=(60, 3)).astype(np.float32)
x = (x - x.mean(axis=0)) / x.std(axis=0)
x = x.astype(np.float32)
margin = x @ np.array([1.0, -2.0, 0.5]) + 0.3
numbers = margin + rng.normal(size=60)
binary = (margin + rng.logistic(size=60) > 0).astype(int)
multi = np.digitize(margin + rng.logistic(size=60), [-1, 1])


def fitted(model, y):
    model.fit(x, y)
    return {"y": y.tolist(), "weights": np.ravel(model.coef_).tolist(), "intercept": np.ravel(model.intercept_).tolist()}


logistic = dict(C=0.5, tol=1e-10, max_iter=10000)
print(
    json.dumps(
        {
            "x": x.T.tolist(),
            "l2": 2,
            "ridge": fitted(Ridge(alpha=2, solver="cholesky"), numbers),
            "binary": fitted(LogisticRegression(**logistic), binary),
            "multi": fitted(LogisticRegression(multi_class="multinomial", **logistic), multi),
        }
    )
)
