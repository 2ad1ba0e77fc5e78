"""Tables from foreign formats: results of harnesses, configs, leaderboards, mixtures of data."""
