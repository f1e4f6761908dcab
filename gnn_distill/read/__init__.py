"""Reading a trained network: messages, contributions to accelerations, gauge, fields."""
