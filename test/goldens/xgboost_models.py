"""Makes xgboost_models.json: models of XGBoost (1.7.4 of Debian 12) with their own answers, which test/ml/import.test.ts compares
ours with.

Run once by hand: /usr/bin/python3 test/goldens/xgboost_models.py > test/goldens/xgboost_models.json
"""
import base64
import json
import warnings

import numpy as np
import xgboost as xgb

from import_rows import rows, told

warnings.filterwarnings("ignore")
xgb.set_config(verbosity=0)
frame, targets = rows()
SHOWN = 80
NUMBERS = ["age", "income", "sales", "level", "member"]
cases = []


def case(name, target, parameters, rounds=6, columns=NUMBERS, ubj=False, named=True, early=False, **more):
    data = frame[columns]
    if not named:
        data = data.to_numpy(dtype=float)
    types = more.get("types")
    enable = "city" in columns
    matrix = xgb.DMatrix(data, targets[target], enable_categorical=enable, feature_types=types)
    parameters = {"max_depth": 3, "eta": 0.3, "seed": 3, "tree_method": "hist", "nthread": 1, **parameters}
    options = {}
    if early:
        held = xgb.DMatrix(data[300:], targets[target][300:], enable_categorical=enable)
        options = dict(evals=[(held, "held")], early_stopping_rounds=3, verbose_eval=False)
    booster = xgb.train(parameters, matrix, rounds, **options)
    span = (0, booster.best_iteration + 1) if early else (0, 0)
    answers = booster.predict(matrix, iteration_range=span)[:SHOWN]
    raw = booster.save_raw("ubj" if ubj else "json")
    cases.append(
        {
            "name": name,
            "target": target,
            "columns": columns if not named else None,
            "answers": np.asarray(answers, dtype=float).tolist(),
            "model": base64.b64encode(raw).decode() if ubj else raw.decode(),
            "ubj": ubj,
        }
    )


sets = {"max_cat_to_onehot": 1}
case("binary", "bought", {"objective": "binary:logistic", "base_score": 0.3})
case("binary, categories", "bought", {"objective": "binary:logistic", **sets}, columns=NUMBERS + ["city"])
case("binary, categories one by one", "bought", {"objective": "binary:logistic", "max_cat_to_onehot": 99}, columns=["city", "age"])
case("binary, codes, no names", "bought", {"objective": "binary:logistic", **sets}, columns=["age", "level"], named=False, types=["float", "c"])
case("binary, UBJSON, categories", "bought", {"objective": "binary:logistic", **sets}, columns=NUMBERS + ["city"], ubj=True)
case("raw margins", "bought", {"objective": "binary:logitraw", "base_score": 0.3}, rounds=3)
case("dart", "bought", {"objective": "binary:logistic", "booster": "dart", "rate_drop": 0.5})
case("best iteration", "bought", {"objective": "binary:logistic", "eta": 1, "max_depth": 4}, rounds=30, early=True)
case("softprob", "kind", {"objective": "multi:softprob", "num_class": 3}, rounds=4)
case("softprob, UBJSON, parallel trees", "kind", {"objective": "multi:softprob", "num_class": 3, "num_parallel_tree": 2, "subsample": 0.5}, rounds=2, ubj=True)
case("squared error, exact", "spent", {"objective": "reg:squarederror", "base_score": 150000, "tree_method": "exact", "gamma": 1e9})
case("absolute error", "spent", {"objective": "reg:absoluteerror"}, rounds=4)
case("pseudo-Huber", "spent", {"objective": "reg:pseudohubererror", "huber_slope": 20000, "base_score": 150000}, rounds=4)
case("poisson", "visits", {"objective": "count:poisson", "base_score": 1.5}, columns=NUMBERS + ["city"], ubj=True)
case("gamma", "cost", {"objective": "reg:gamma"}, rounds=4)
case("tweedie", "cost", {"objective": "reg:tweedie"}, rounds=4)
case("linear", "spent", {"booster": "gblinear", "objective": "reg:squarederror", "base_score": 0.5}, columns=["age", "level", "member", "income"])
print(json.dumps({"rows": told(frame[:SHOWN]), "targets": {k: v[:SHOWN].tolist() for k, v in targets.items()}, "cases": cases}))
