"""What answers: on a laptop, in the image and in predict."""
