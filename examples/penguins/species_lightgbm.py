"""Makes species_lightgbm.txt: a small model of LightGBM (4.7.0) that tells the species of a penguin, to be imported.

Run in this folder: python3 species_lightgbm.py
"""
import lightgbm as lgb
import pandas as pd

frame = pd.read_csv("penguins.csv")
species = frame["species"].astype("category").cat.codes
columns = ["island", "bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g", "sex"]
rows = frame[columns].astype({"island": "category", "sex": "category"})
parameters = {"objective": "multiclass", "num_class": 3, "num_leaves": 4, "learning_rate": 0.3, "min_data_in_leaf": 5}
parameters |= {"min_data_per_group": 5, "verbosity": -1, "seed": 1, "deterministic": True, "num_threads": 1}
booster = lgb.train(parameters, lgb.Dataset(rows, species), 8)
booster.save_model("species_lightgbm.txt")
