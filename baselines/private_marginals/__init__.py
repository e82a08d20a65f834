"""Methods that release noisy counts of a few columns at a time, under differential privacy: AIM and PrivBayes."""
