"""Makes metrics.json: figures of scikit-learn (1.2.1 of Debian 12) that test/ml/metric.test.ts compares ours with.

Run once by hand: /usr/bin/python3 test/goldens/metrics.py > test/goldens/metrics.json
"""
import json

import numpy as np
from sklearn import metrics as m

rng = np.random.default_rng(11)


def classes(rows, k, digits):
    actual = rng.integers(0, k, rows)
    scores = rng.dirichlet(np.ones(k), rows) + 0.6 * np.eye(k)[actual] * rng.random((rows, 1))
    scores = np.round(scores / scores.sum(axis=1, keepdims=True), digits)  # coarse, so that there are ties
    scores[:, -1] = 1 - scores[:, :-1].sum(axis=1)
    scores = np.clip(scores, 0, 1)
    scores /= scores.sum(axis=1, keepdims=True)
    labels = scores.argmax(axis=1)
    binary = k == 2
    average = "binary" if binary else "macro"
    auc = m.roc_auc_score(actual, scores[:, 1]) if binary else m.roc_auc_score(actual, scores, multi_class="ovr")
    return {
        "k": k,
        "actual": actual.tolist(),
        "labels": labels.tolist(),
        "scores": scores.ravel().tolist(),
        "figures": {
            "ACCURACY": m.accuracy_score(actual, labels),
            "BALANCED_ACCURACY": m.balanced_accuracy_score(actual, labels),
            "PRECISION": m.precision_score(actual, labels, average=average),
            "RECALL": m.recall_score(actual, labels, average=average),
            "F1": m.f1_score(actual, labels, average=average),
            "AUC": auc,
            "LOG_LOSS": m.log_loss(actual, scores),
        },
        "confusion": m.confusion_matrix(actual, labels).tolist(),
        "perClassF1": m.f1_score(actual, labels, average=None).tolist(),
    }


def numbers(rows):
    actual = rng.normal(50, 20, rows)
    predicted = actual + rng.normal(1, 8, rows)
    return {
        "actual": actual.tolist(),
        "predicted": predicted.tolist(),
        "figures": {
            "RMSE": float(np.sqrt(m.mean_squared_error(actual, predicted))),
            "MAE": m.mean_absolute_error(actual, predicted),
            "R2": m.r2_score(actual, predicted),
        },
    }


print(json.dumps({"classes": [classes(80, 2, 1), classes(60, 2, 2), classes(90, 4, 1)], "numbers": numbers(50)}))
