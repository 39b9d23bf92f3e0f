namespace Diegetic
{
    /// <summary>A place or a direction: right-handed, in metres; x to the right, y up, -z ahead.</summary>
    public struct Vec3
    {
        public double X;
        public double Y;
        public double Z;

        public Vec3(double x, double y, double z)
        {
            X = x;
            Y = y;
            Z = z;
        }

        internal Vec3 Cross(Vec3 other)
        {
            return new Vec3(
                Y * other.Z - Z * other.Y, Z * other.X - X * other.Z, X * other.Y - Y * other.X);
        }

        internal double Length
        {
            get { return System.Math.Sqrt(X * X + Y * Y + Z * Z); }
        }

        internal bool Is(double x, double y, double z)
        {
            return X == x && Y == y && Z == z;
        }

        public override string ToString()
        {
            return Text.Of("[{0}, {1}, {2}]", X, Y, Z);
        }
    }
}
