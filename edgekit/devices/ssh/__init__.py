"""Linux machines behind SSH: bundles are deployed there, run and measured, over one connection."""
