print("zonectl")
