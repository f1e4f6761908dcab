"""Force laws, their integration in time, energies, and the names that equations may hold."""
