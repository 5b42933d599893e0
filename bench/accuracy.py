"""The references of bench/accuracy.ts: reads one request per line (JSON), answers one line of metrics.

Same rows, same split, parameters as near as the libraries allow; categories as each library's own guide has them: one-hot for
scikit-learn's trees, as they are for HistGradientBoosting, XGBoost (one-hot as well) and LightGBM. Boosting is stopped as Concordat does it:
the round of least validation loss, searched until 25 rounds bring nothing better. A library that is not installed is left out.
"""
import json
import sys
import time

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor, HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, log_loss, mean_squared_error, r2_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

try:
    from xgboost import XGBClassifier, XGBRegressor
except ImportError:
    XGBClassifier = XGBRegressor = None
try:
    import lightgbm
except ImportError:
    lightgbm = None

PATIENCE = 25
# More categories than this are an identifier, or too many for a library to take as such.
MOST_CATEGORIES = 254
# As Concordat counts a probability of 0.
LEAST_PROBABILITY = np.finfo(np.float64).eps


def numeric_and_text(frame):
    text = [c for c in frame.columns if frame[c].dtype == object]
    return [c for c in frame.columns if c not in text], [c for c in text if frame[c].nunique() <= min(MOST_CATEGORIES, max(20, len(frame) / 2))]


def encoded(frame, model, scale):
    numbers, text = numeric_and_text(frame)
    number_steps = [SimpleImputer(strategy="mean")] + ([StandardScaler()] if scale else [])
    onehot = OneHotEncoder(handle_unknown="ignore", min_frequency=5)
    return make_pipeline(ColumnTransformer([("n", make_pipeline(*number_steps), numbers), ("t", onehot, text)]), model)


def passed(frame, model):
    """For libraries that take missing numbers as they are."""
    numbers, text = numeric_and_text(frame)
    onehot = OneHotEncoder(handle_unknown="ignore", min_frequency=5)
    return make_pipeline(ColumnTransformer([("n", "passthrough", numbers), ("t", onehot, text)], sparse_threshold=0), model)


def typed(x, frame):
    """For XGBoost: categories as such, those of the training rows x."""
    numbers, text = numeric_and_text(x)
    return frame[numbers + text].assign(**{c: pd.Categorical(frame[c], categories=sorted(x[c].dropna().unique())) for c in text})


def light(x, y, tx, is_class):
    """Test predictions of LightGBM at its defaults."""
    numbers, text = numeric_and_text(x)
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    prepare = ColumnTransformer([("n", "passthrough", numbers), ("t", codes, text)], sparse_threshold=0)
    features = prepare.fit_transform(x).astype(np.float64)
    classes = len(np.unique(y)) if is_class else 0
    objective = "regression" if classes == 0 else "binary" if classes == 2 else "multiclass"
    known = np.searchsorted(np.unique(y), y) if is_class else y
    parameters = {"objective": objective, "verbose": -1, "num_threads": 2, **({"num_class": classes} if classes > 2 else {})}
    data = lightgbm.Dataset(features, known, categorical_feature=list(range(len(numbers), len(numbers) + len(text))))
    p = lightgbm.train(parameters, data, 100).predict(prepare.transform(tx).astype(np.float64))
    return np.column_stack([1 - p, p]) if classes == 2 else p


def boosted(frame, is_class):
    numbers, text = numeric_and_text(frame)
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    kind = HistGradientBoostingClassifier if is_class else HistGradientBoostingRegressor
    mask = [False] * len(numbers) + [True] * len(text)
    model = kind(learning_rate=0.1, max_leaf_nodes=31, min_samples_leaf=20, l2_regularization=1, max_iter=300, early_stopping=False, categorical_features=mask)
    return ColumnTransformer([("n", "passthrough", numbers), ("t", codes, text)]), model


def stopped(x, y, vx, vy, tx, is_class):
    """Test predictions of the best round."""
    prepare, model = boosted(x, is_class)
    model.fit(prepare.fit_transform(x), y)
    staged = model.staged_predict_proba if is_class else model.staged_predict
    losses = []
    for p in staged(prepare.transform(vx)):
        losses.append(log_loss(vy, p, labels=model.classes_) if is_class else mean_squared_error(vy, p))
        if len(losses) - 1 - int(np.argmin(losses)) >= PATIENCE:
            break
    best = int(np.argmin(losses))
    for i, p in enumerate(staged(prepare.transform(tx))):
        if i == best:
            return model, p
    raise AssertionError


def figures(y, p, classes, is_class):
    if not is_class:
        return {"RMSE": float(np.sqrt(mean_squared_error(y, p))), "R2": float(r2_score(y, p))}
    p = np.asarray(p, dtype=np.float64)
    labels = classes[np.argmax(p, axis=1)]
    auc = roc_auc_score(y == classes[1], p[:, 1]) if len(classes) == 2 else roc_auc_score(y, p, multi_class="ovr", labels=classes)
    return {"ACCURACY": float(accuracy_score(y, labels)), "AUC": float(auc), "LOG_LOSS": float(log_loss(y, p, labels=classes, eps=LEAST_PROBABILITY))}


def answer(request):
    table = pd.read_csv(request["path"])
    part = np.array(request["assignment"])
    table = table.iloc[request["rows"]].reset_index(drop=True).drop(columns=request["without"])
    known = table[request["target"]].notna().to_numpy()
    table, part = table[known], part[known]
    for column in table.columns:
        if table[column].dtype == bool:
            table[column] = table[column].astype(str)
    is_class = request["task"] != "REGRESSION"
    y = table.pop(request["target"]).to_numpy()
    if is_class:
        y = LabelEncoder().fit_transform(y.astype(str))
    x, vx, tx = (table[part == i] for i in range(3))
    y, vy, ty = (y[part == i] for i in range(3))
    share = "sqrt" if is_class else 0.5
    tree = dict(max_depth=10, min_samples_leaf=20, random_state=0)
    forest = dict(n_estimators=100, min_samples_leaf=2, max_features=share, random_state=0)
    models = {
        "DECISION_TREE": encoded(x, (DecisionTreeClassifier if is_class else DecisionTreeRegressor)(**tree), False),
        "RANDOM_FOREST": encoded(x, (RandomForestClassifier if is_class else RandomForestRegressor)(**forest), False),
        "EXTRA_TREES": encoded(x, (ExtraTreesClassifier if is_class else ExtraTreesRegressor)(**forest), False),
        "GRADIENT_BOOSTING": None,
        "LINEAR": encoded(x, LogisticRegression(C=1, max_iter=5000) if is_class else Ridge(alpha=1), True),
    }
    if XGBClassifier is not None:
        kind = XGBClassifier if is_class else XGBRegressor
        models["XGBOOST"] = kind(tree_method="hist", n_jobs=2, enable_categorical=True)
        models["XGBOOST, equal input"] = passed(x, kind(tree_method="hist", n_jobs=2))
    if lightgbm is not None:
        models["LIGHTGBM"] = None
    models = {name: model for name, model in models.items() if name.split(",")[0] in request["algorithms"]}
    result = {}
    for name, model in models.items():
        start = time.perf_counter()
        if name == "GRADIENT_BOOSTING":
            _, p = stopped(x, y, vx, vy, tx, is_class)
        elif name == "LIGHTGBM":
            p = light(x, y, tx, is_class)
        elif name == "XGBOOST":
            model.fit(typed(x, x), y)
            p = model.predict_proba(typed(x, tx)) if is_class else model.predict(typed(x, tx))
        else:
            model.fit(x, y)
            p = model.predict_proba(tx) if is_class else model.predict(tx)
        seconds = time.perf_counter() - start
        classes = np.unique(y) if is_class else None
        result[name] = {**figures(ty, p, classes, is_class), "seconds": seconds}
    return result


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
