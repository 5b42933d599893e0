"""Makes calibration.json: curves of scikit-learn (1.2.1 of Debian 12) that test/ml/calibrate.test.ts compares ours with.

Run once by hand: /usr/bin/python3 test/goldens/calibration.py > test/goldens/calibration.json
"""
import json

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.isotonic import IsotonicRegression

rng = np.random.default_rng(11)
z = rng.normal(size=(120, 1)) * 2
y = (0.5 * z[:, 0] - 0.7 + rng.logistic(size=120) > 0).astype(int)
w = rng.integers(1, 4, size=120).astype(float)
p = 1 / (1 + np.exp(-z[:, 0]))
at = np.linspace(0.001, 0.999, 41)


class Given(BaseEstimator, ClassifierMixin):
    """A classifier whose decision function is its input."""

    classes_ = np.array([0, 1])
    is_fitted_ = True

    def fit(self, x, y):
        return self

    def decision_function(self, X):
        return X[:, 0]


def platt(weights):
    model = CalibratedClassifierCV(Given(), method="sigmoid", cv="prefit").fit(z, y, sample_weight=weights)
    return model.predict_proba(np.log(at / (1 - at))[:, None])[:, 1].tolist()


def isotonic(weights):
    model = IsotonicRegression(out_of_bounds="clip").fit(p, y, sample_weight=weights)
    return {"x": model.X_thresholds_.tolist(), "y": model.y_thresholds_.tolist(), "at": model.predict(at).tolist()}


scores = rng.dirichlet([1, 2, 1], size=90)
classes = np.array([rng.choice(3, p=row**2 / (row**2).sum()) for row in scores])


class Shares(BaseEstimator, ClassifierMixin):
    classes_ = np.array([0, 1, 2])
    is_fitted_ = True

    def fit(self, x, y):
        return self

    def predict_proba(self, X):
        return X


multi = CalibratedClassifierCV(Shares(), method="isotonic", cv="prefit").fit(scores, classes)
print(
    json.dumps(
        {
            "z": z[:, 0].tolist(),
            "y": y.tolist(),
            "weights": w.tolist(),
            "at": at.tolist(),
            "platt": platt(None),
            "plattWeighted": platt(w),
            "isotonic": isotonic(None),
            "isotonicWeighted": isotonic(w),
            "multi": {
                "scores": scores.ravel().tolist(),
                "classes": classes.tolist(),
                "calibrated": multi.predict_proba(scores).ravel().tolist(),
            },
        }
    )
)
