"""Makes lightgbm_models.json: models of LightGBM (4.7.0, with Debian 12's pandas) with their own answers, which
test/ml/import.test.ts compares ours with.

Run once by hand: /usr/bin/python3 test/goldens/lightgbm_models.py > test/goldens/lightgbm_models.json
"""
import json
import warnings

import lightgbm as lgb
import numpy as np

from import_rows import rows, told

warnings.filterwarnings("ignore")
frame, targets = rows()
SHOWN = 80
NUMBERS = ["age", "income", "sales", "level", "member"]
cases = []


def without_parameters(text):
    """Leaves out the many parameters that nothing is read of."""
    lines = text.split("\n")
    return "\n".join(line for line in lines if not line.startswith("[") or line.startswith("[categorical_feature"))


def case(name, target, parameters, rounds=6, columns=NUMBERS, named=True, refused=None, categorical="auto", zeros=()):
    data = frame[columns].copy()
    for column in zeros:
        data.loc[data.index % 4 == 0, column] = 0.0
    if not named:
        data = data.to_numpy(dtype=float)
    parameters = {
        "num_leaves": 6,
        "learning_rate": 0.3,
        "min_data_in_leaf": 5,
        "min_data_per_group": 5,
        "cat_smooth": 1,
        "verbosity": -1,
        "seed": 3,
        "num_threads": 1,
        **parameters,
    }
    booster = lgb.train(parameters, lgb.Dataset(data, targets[target], categorical_feature=categorical), rounds)
    asked = data[:SHOWN]
    # Also missing where training had none.
    if named:
        asked = asked.copy()
        asked.loc[:3, columns[0]] = np.nan
    else:
        asked[:4, 0] = np.nan
    cases.append(
        {
            "name": name,
            "target": target,
            "columns": columns if not named else None,
            "answers": np.asarray(booster.predict(asked), dtype=float).tolist(),
            "model": without_parameters(booster.model_to_string()),
            "missing": columns[0],
            "refused": refused,
        }
    )


case("binary", "bought", {"objective": "binary", "sigmoid": 2.0})
case("binary, categories", "bought", {"objective": "binary"}, columns=NUMBERS + ["city"])
case("binary, few categories", "bought", {"objective": "binary", "max_cat_to_onehot": 99}, columns=["age", "city"])
case("binary, codes, no names", "bought", {"objective": "binary"}, columns=["age", "level"], named=False, categorical=[1])
case("no missing values", "bought", {"objective": "binary", "use_missing": False})
case("multiclass", "kind", {"objective": "multiclass", "num_class": 3}, rounds=4)
case("random forest", "bought", {"objective": "binary", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6})
case("random forest, classes", "kind", {"objective": "multiclass", "num_class": 3, "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}, rounds=3)
case("dart", "spent", {"objective": "regression", "boosting": "dart"})
case("regression", "spent", {"objective": "regression"}, columns=NUMBERS + ["city"])
case("absolute error", "spent", {"objective": "regression_l1"}, rounds=4)
case("quantile", "spent", {"objective": "quantile", "alpha": 0.8}, rounds=4)
case("huber", "spent", {"objective": "huber"}, rounds=4)
case("poisson", "visits", {"objective": "poisson"}, rounds=4)
case("gamma", "cost", {"objective": "gamma"}, rounds=4)
case("tweedie", "cost", {"objective": "tweedie"}, rounds=4)
case("cross entropy", "bought", {"objective": "cross_entropy"}, rounds=3)
case("a constant", "spent", {"objective": "regression", "min_data_in_leaf": 1000}, rounds=2)
case("zeros for missing", "bought", {"objective": "binary", "zero_as_missing": True}, zeros=("age", "sales"), refused="zero_as_missing")
case("linear leaves", "spent", {"objective": "regression", "linear_tree": True}, rounds=2, refused="linear_tree")
case("one against all", "kind", {"objective": "multiclassova", "num_class": 3}, rounds=2, refused="multiclassova")
case("ranks", "spent", {"objective": "regression", "reg_sqrt": True}, rounds=2, refused="reg_sqrt")
print(json.dumps({"rows": told(frame[:SHOWN]), "targets": {k: v[:SHOWN].tolist() for k, v in targets.items()}, "cases": cases}))
