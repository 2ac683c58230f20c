"""What is told of attempts while they run: started, alive, progress, ended."""
