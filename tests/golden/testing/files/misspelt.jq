.a | lenght
