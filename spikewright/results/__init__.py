"""What the functions and commands of the face return: frozen values that make their JSON."""
