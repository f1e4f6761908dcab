"""Laws fitted to accelerations, end to end, and chosen by those that no fit has seen."""
