"""What is true about visits: plans, tasks and who is asked to go. Pure: values in, values out, time passed in."""
