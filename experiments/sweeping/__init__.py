"""What `experiments.sweep` needs: plan, estimates, processes, tables."""
