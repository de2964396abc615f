"""How a server wants to be spoken to, as data: contracts, what is made of them, and how one is found."""
