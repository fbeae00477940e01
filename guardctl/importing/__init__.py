"""`guardctl import`: what starts ECS tasks in an account today, read, carried into jobs, written as a jobs file."""
