"""SMOTE and FW-SMOTE."""
