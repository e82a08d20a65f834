"""Methods that release noisy counts of few columns at a time, under differential privacy: AIM and PrivBayes."""
